from django.contrib.staticfiles.management.commands import runserver


class Command(runserver.Command):
    help = "The admin, for one person's machine."
    addr: str

    def on_bind(self, server_port: int) -> None:
        self.stdout.write(f"Back office: http://{self.addr}:{server_port}/admin/  (Ctrl-C ends it)")
        self.stdout.flush()
