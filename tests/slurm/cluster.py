"""A real Slurm of one controller and two nodes on this machine, for tests, in a folder of its own: no
systemd, no accounting, nothing outside the folder changed. Needs Debian's `slurm-wlm` and `munge`.

    with Cluster(folder) as cluster:
        cluster.run(["sbatch", "job.sh"])

`cluster.py FOLDER` starts one for a person, prints the line that a shell needs, and stops it at Ctrl-C.
"""
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time

DAEMONS = ("munged", "slurmctld", "slurmd")
COMMANDS = ("sbatch", "squeue", "scontrol", "scancel", "sinfo")
NODES = ("node1", "node2")
PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"


def missing():
    """Returns what this machine lacks to start one, "" if nothing."""
    names = [name for name in DAEMONS + COMMANDS if shutil.which(name, path=PATH) is None]
    return f"no {', '.join(names)} (Debian: slurm-wlm, munge)" if names else ""


def free_ports(count):
    """Returns ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Cluster:
    def __init__(self, folder, settings=""):
        """`settings`: further lines of slurm.conf."""
        self.folder = pathlib.Path(folder).resolve()
        self.settings = settings
        self.processes = []
        self.environment = dict(os.environ, PATH=PATH, SLURM_CONF=str(self.folder / "slurm.conf"))

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        for name in ("state", "munge") + tuple(f"spool-{node}" for node in NODES):
            (self.folder / name).mkdir(mode=0o700, exist_ok=True)
        self.write_configuration()
        self.start_munge()
        self.spawn(["slurmctld", "-D", "-f", self.environment["SLURM_CONF"]], "slurmctld")
        for node in NODES:
            self.spawn(["slurmd", "-D", "-N", node, "-f", self.environment["SLURM_CONF"]], node)
        self.wait_for(self.is_ready, 60, "the nodes did not become idle")

    def write_configuration(self):
        user, host = pwd.getpwuid(os.getuid()).pw_name, socket.gethostname().split(".")[0]
        controller, *ports = free_ports(1 + len(NODES))
        cpus = os.cpu_count()
        nodes = "\n".join(f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} "
                          f"CPUs={cpus} RealMemory=1000 State=UNKNOWN" for name, port in zip(NODES, ports))
        (self.folder / "slurm.conf").write_text(f"""ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={self.folder}/munge/socket
CredType=cred/munge
StateSaveLocation={self.folder}/state
SlurmdSpoolDir={self.folder}/spool-%n
SlurmctldPidFile={self.folder}/slurmctld.pid
SlurmdPidFile={self.folder}/slurmd-%n.pid
SlurmctldLogFile={self.folder}/slurmctld.log
SlurmdLogFile={self.folder}/slurmd-%n.log
SlurmdDebug=info
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_interval=5,bf_interval=5
JobRequeue=1
KillWait=5
{self.settings}
{nodes}
PartitionName=main Nodes={",".join(NODES)} Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:8
""")
        # Without this slurmd asks for a cgroup plugin's mount points, which containers lack.
        (self.folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n")

    def start_munge(self):
        key = self.folder / "munge/key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))
        munge = self.folder / "munge"
        self.spawn(["munged", "--foreground", "--force", f"--key-file={key}", f"--socket={munge}/socket",
                    f"--pid-file={munge}/pid", f"--log-file={munge}/log", f"--seed-file={munge}/seed"], "munged")
        munge.chmod(0o711)
        self.wait_for((munge / "socket").exists, 20, "munged does not listen")

    def spawn(self, command, name):
        with open(self.folder / f"{name}.out", "ab") as log:
            self.processes.append(subprocess.Popen(command, env=self.environment, stdin=subprocess.DEVNULL,
                                                   stdout=log, stderr=log, start_new_session=True))

    def is_ready(self):
        states = self.output(["sinfo", "--noheader", "--Node", "--format=%T"], check=False).split()
        return states == ["idle"] * len(NODES)

    def wait_for(self, condition, seconds, otherwise):
        """Waits until `condition` holds. Raises RuntimeError with `otherwise` and the daemons' last words."""
        end = time.monotonic() + seconds
        while not condition():
            for process in self.processes:
                if process.poll() is not None:
                    ended = f"{process.args[0]} ended with status {process.returncode}"
                    raise RuntimeError(f"{ended}; {self.last_words()}")
            if time.monotonic() > end:
                raise RuntimeError(f"{otherwise}; {self.last_words()}")
            time.sleep(0.1)

    def last_words(self):
        words = []
        for log in sorted(self.folder.glob("*.out")) + sorted(self.folder.glob("*.log")):
            words.append(f"{log.name}: " + " | ".join(log.read_text(errors="replace").splitlines()[-5:]))
        return "\n".join(words)

    def run(self, command, **options):
        """Runs a command that finds this Slurm; a subprocess.CompletedProcess with texts."""
        options.setdefault("env", self.environment)
        return subprocess.run(command, capture_output=True, text=True, **options)

    def output(self, command, check=True):
        done = self.run(command)
        if check and done.returncode != 0:
            raise RuntimeError(f"{command}: {done.stderr}")
        return done.stdout

    def stop(self):
        if any(process.poll() is None for process in self.processes):
            self.run(["scancel", "--quiet", f"--user={pwd.getpwuid(os.getuid()).pw_name}"])
        for process in reversed(self.processes):
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self.processes = []


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if missing():
        sys.exit(missing())
    with Cluster(sys.argv[1]) as started:
        print(f"export SLURM_CONF={started.environment['SLURM_CONF']} PATH=$PATH:/usr/sbin", flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            pass
