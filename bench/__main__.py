from testbed.start import start

start("bench.run")
