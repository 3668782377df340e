from testbed.start import start

start("load.run")
