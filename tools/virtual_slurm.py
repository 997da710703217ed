"""Run a two-node Slurm on this machine, to try --cluster slurm and for the tests. Needs root.

tools/setup_tests.sh    # Debian's packages
python tools/virtual_slurm.py start DIR
SLURM_CONF=DIR/slurm.conf ./run.sh --cluster slurm ...
python tools/virtual_slurm.py stop DIR

DIR is one that no Slurm used before.
"""

import argparse
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")
# Debian's slurmd lets several nodes be on one host. Each may use both cores, whatever there are.
CONF = """\
ClusterName=test
SlurmctldHost=localhost
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
JobRequeue=1
KillWait=5
MinJobAge=2
ReturnToService=2
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
NodeName=n-a1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=8000
NodeName=n-a2 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=8000
PartitionName=all Nodes=ALL Default=YES State=UP
"""


class Slurm:
    """A controller, two nodes and their munge, all in one folder."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.conf = folder / "slurm.conf"
        self.env = {"SLURM_CONF": str(self.conf)}

    def start(self) -> None:
        (self.folder / "state").mkdir()
        self.conf.write_text(CONF.format(folder=self.folder, ports=free_ports(3)))
        self._start_munge()
        self._run("slurmctld", "-f", self.conf)
        for node in ("n-a1", "n-a2"):
            self._run("slurmd", "-f", self.conf, "-N", node)
        end = time.monotonic() + 30
        while self._nodes() != ["idle", "idle"]:
            if time.monotonic() > end:
                raise RuntimeError((self.folder / "slurmctld.log").read_text()[-2000:])
            time.sleep(0.2)

    def _start_munge(self) -> None:
        """Start munge with its own key and socket; any munge of the machine is left alone."""
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        options = {"key-file": key, "socket": self.folder / "munge.socket"}
        options |= {f"{n}-file": self.folder / f"munge.{n}" for n in ("pid", "log", "seed")}
        self._run("munged", "--force", *(f"--{name}={path}" for name, path in options.items()))

    def _nodes(self) -> list[str]:
        return self.run("sinfo", "-h", "-N", "-o", "%t").split()

    def _run(self, *command: str | Path) -> None:
        subprocess.run(command, check=True, env=os.environ | self.env, capture_output=True)

    def run(self, *command: str) -> str:
        """The output of one of Slurm's commands."""
        done = subprocess.run(command, env=os.environ | self.env, capture_output=True, text=True)
        return done.stdout

    def stop(self) -> None:
        self.run("scancel", "--user=root")
        for name, program in (
            ("slurmd.n-a1", "slurmd"),
            ("slurmd.n-a2", "slurmd"),
            ("slurmctld", "slurmctld"),
            ("munge", "munged"),
        ):
            pid = self.folder / f"{name}.pid"
            if pid.exists() and runs(int(pid.read_text()), program):
                end_process(int(pid.read_text()))


def runs(pid: int, program: str) -> bool:
    """Whether that process is one of the program; after a reboot a pid may be another's."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == program
    except OSError:
        return False


def end_process(pid: int) -> None:
    """Send SIGTERM, and SIGKILL if that does not end it within 10 s."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for _ in range(100):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                return
            time.sleep(0.1)


def free_ports(number: int) -> list[int]:
    """Ports to listen on, of those that Linux gives to no connection by itself."""
    found = []
    for port in range(10000 + os.getpid() % 9000, 20000):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(port)
        if len(found) == number:
            return found
    raise RuntimeError("too few ports are free")


def refuse_used(folder: Path) -> None:
    """Exit if a Slurm was started in this folder.

    It may still run, or its pid files name processes that began after a reboot: a start that fails
    there would end them.
    """
    if any((folder / name).exists() for name in ("slurm.conf", "state")):
        sys.exit(f"{folder}: used before; if its Slurm runs, stop it; then name a new directory")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("start", "stop"))
    parser.add_argument("folder", type=Path, metavar="DIR", help="for configuration, state, logs")
    args = parser.parse_args()
    if args.what == "start":
        refuse_used(args.folder)
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing:
        sys.exit(f"no {', '.join(missing)} here; as root: tools/setup_tests.sh")
    if os.geteuid():
        sys.exit("Slurm's daemons need root")
    slurm = Slurm(args.folder.resolve())
    if args.what == "stop":
        slurm.stop()
        return
    args.folder.mkdir(parents=True, exist_ok=True)
    try:
        slurm.start()
    except BaseException:
        slurm.stop()
        raise


if __name__ == "__main__":
    main()
