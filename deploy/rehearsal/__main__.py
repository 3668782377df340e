"""docs/deployment.md, as it is written, in a bare Debian: `make deploy-test`, as root and with a network."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from testbed.console import say

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
MIRROR = "http://deb.debian.org/debian"
# With the rest of the commands no network but its own is there, so that no port is anybody else's.
ONLINE = {"Packages and code"}
UPGRADE = "An upgrade"
HOST = "office.test"

# certbot's stand-in makes a certificate of its own, which curl is told to believe.
CERTBOT = f"""#!/bin/sh
set -eu
at=/etc/letsencrypt/live/{HOST}
mkdir -p $at
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={HOST} -addext subjectAltName=DNS:{HOST} \
    -keyout $at/privkey.pem -out $at/fullchain.pem 2> /dev/null
cp $at/fullchain.pem /usr/local/share/ca-certificates/{HOST}.crt
update-ca-certificates > /dev/null
"""


class FailedError(Exception):
    pass


def blocks() -> list[tuple[str, str]]:
    """Each command block with its heading."""
    parts = re.split(r"^## (.*)$", (ROOT / "docs/deployment.md").read_text(), flags=re.M)
    told = zip(parts[1::2], parts[2::2], strict=True)
    return [(heading, block) for heading, text in told for block in re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)]


def run(*command: str | Path, env: dict[str, str] | None = None, text: str | None = None) -> str:
    done = subprocess.run(
        command, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env and os.environ | env
    )
    if done.returncode:
        raise FailedError(f"{command[0]} exits with {done.returncode}:\n{done.stdout[-6000:]}")
    return done.stdout


def inside(debian: Path, script: str, *, online: bool) -> str:
    """Runs it there, with processes, mounts and, unless online, a network of its own: all end with it."""
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "DEBIAN_FRONTEND": "noninteractive",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": "/root/packages",
    }
    mounts = f"mount --rbind /dev {debian}/dev && mount -t proc proc {debian}/proc && mount -t tmpfs run {debian}/run"
    network = "true" if online else "ip link set lo up"
    command = f"{mounts} && {network} && exec chroot {debian} /bin/bash -euo pipefail -s"
    apart = ["--mount", "--pid", "--fork", "--kill-child", *([] if online else ["--net"])]
    variables = [f"{name}={value}" for name, value in environment.items()]
    return run("env", "-i", *variables, "unshare", *apart, "/bin/sh", "-c", command, text=script)


def prepare(debian: Path) -> None:
    say("a bare Debian")
    # In mounts of its own: it leaves none behind when it is stopped.
    run(
        "unshare",
        "--mount",
        "debootstrap",
        "--variant=minbase",
        "--include=systemd,iproute2,curl",
        "bookworm",
        debian,
        MIRROR,
    )
    shutil.copy("/etc/resolv.conf", debian / "etc/resolv.conf")
    # What is thrown away need not outlive a power cut.
    (debian / "etc/dpkg/dpkg.cfg.d/unsafe-io").write_text("force-unsafe-io\n")
    # No service starts while packages come in; they are started as Debian would, below.
    for name, text in {"usr/sbin/policy-rc.d": "#!/bin/sh\nexit 101\n", "usr/local/bin/certbot": CERTBOT}.items():
        (debian / name).write_text(text)
        (debian / name).chmod(0o755)
    shutil.copy(HERE / "systemctl", debian / "usr/local/bin/systemctl")
    with (debian / "etc/hosts").open("a") as hosts:
        hosts.write(f"127.0.0.1 localhost {HOST}\n")
    say("what pip needs, and this work tree as it is")
    run(
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "-r",
        ROOT / "requirements.txt",
        "-d",
        debian / "root/packages",
    )
    clone = debian / "root/smetabot.git"
    clone.mkdir()
    git = ("git", "-C", clone, "-c", "user.name=test", "-c", "user.email=test@example.com")
    names = run("git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0")
    for name in names:
        if name and (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name)
    run(*git, "init", "--quiet")
    run(*git, "add", "--all")
    run(*git, "commit", "--quiet", "--message", "As it is")
    run(*git, "tag", "v0")
    run(*git, "commit", "--quiet", "--allow-empty", "--message", "The next version")
    run(*git, "tag", "v1")


def typed(block: str) -> str:
    """In a shell of its own that stops at the first command that fails: left of || ours would go on."""
    return f"cat > /tmp/block << 'END OF BLOCK'\n{block}END OF BLOCK\nbash -euo pipefail /tmp/block"


def main() -> int:
    if os.geteuid() != 0:
        print("deploy-test makes a Debian of its own, which takes root", file=sys.stderr)
        return 1
    # What it started ends with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    began = time.monotonic()
    debian = Path(tempfile.mkdtemp(prefix="smetabot-deploy-"))
    # Its accounts pass through its root.
    debian.chmod(0o755)
    try:
        prepare(debian)
        ours = f"export HOST={HOST} REPOSITORY=/root/smetabot.git VERSION=v0\n"
        told = [(heading, block) for heading, block in blocks() if not block.startswith("export ")]
        say("packages and code")
        inside(debian, ours + "".join(block for heading, block in told if heading in ONLINE), online=True)
        (debian / "usr/sbin/policy-rc.d").unlink()
        start = "service postgresql start > /dev/null; service nginx start > /dev/null\n"
        offline = ""
        for heading, block in told:
            if heading not in ONLINE:
                upgrade = "export VERSION=v1\n" if heading == UPGRADE else ""
                stop = "|| { cat /tmp/said; exit 1; }"
                offline += f"echo '{heading}'\n{upgrade}{typed(block)} > /tmp/said 2>&1 < /dev/null {stop}\n"
        say("the rest of the page, and what it promises")
        print(inside(debian, ours + start + offline + (HERE / "checks.sh").read_text(), online=False), end="")
    except FailedError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(debian, ignore_errors=True)
    say(f"docs/deployment.md holds, after {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
