from testbed.start import start

start("bench.backups.run")
