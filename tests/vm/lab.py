# SPDX-License-Identifier: Apache-2.0
"""The guest: whether this machine can have one, its image in a cache, and a boot of it."""

import fcntl
import hashlib
import os
import platform
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
KERNELS = ("uml", "6.1", "6.12")
TOOLS = ("apt-get", "apt-cache", "apt-config", "dpkg-deb", "tar", "mke2fs", "depmod", "modprobe",
         "xz", "gzip", "ldconfig")
RUNNING = set()  # process groups of guests


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def default_cache():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "duotgt-vm")


def why_not(kernel):
    """Why this machine cannot boot a guest; None when it seems to be able to."""
    if platform.machine() != "x86_64":
        return "the guest's kernels are for x86-64"
    if "VERSION_CODENAME=bookworm" not in read("/etc/os-release"):
        return "the guest is made of Debian 12's packages, and must have this system's libraries"
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    missing = [tool for tool in TOOLS + (() if kernel == "uml" else ("qemu-system-x86_64",))
               if not shutil.which(tool)]
    if missing:
        return f"not installed: {', '.join(missing)}"
    return None


def prepare(cache, kernel):
    """Downloads and makes what is missing or out of date; returns why that failed, or None."""
    folder = os.path.join(cache, kernel)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for step, inputs in (("fetch", ("fetch", "packages")),
                             ("image", ("fetch", "packages", "image", "modules", "init",
                                        "initramfs-init"))):
            stamp = os.path.join(folder, step + ".done")
            key = digest(inputs)
            if read(stamp) == key:
                continue
            if os.path.exists(stamp):
                os.unlink(stamp)
            print(f"{step}: {'downloading' if step == 'fetch' else 'making the image'} in {folder}",
                  flush=True)
            argv = [os.path.join(HERE, "lab", step), os.path.join(folder, "packages"),
                    kernel if step == "fetch" else os.path.join(folder, "image")]
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
            if done.returncode:
                if step == "fetch":
                    return f"the guest's packages are not to be had: {done.stdout.strip()[-300:]}"
                sys.exit(f"vm: no image could be made:\n{done.stdout[-3000:]}")
            with open(stamp, "w", encoding="utf-8") as file:
                file.write(key)
    return None


def digest(names):
    sha = hashlib.sha256()
    for name in names:
        with open(os.path.join(HERE, "lab", name), "rb") as file:
            sha.update(name.encode() + b"\0" + file.read())
    return sha.hexdigest()


def boot(cache, kernel, share, limit, slot):
    """Runs a guest to its end, @limit seconds at most; returns what was on its console."""
    image = os.path.join(cache, kernel, "image")
    env = dict(os.environ, HOME=share, TMPDIR=share)
    if kernel == "uml":
        argv = uml(image, share)
        env["TMPDIR"] = memory_folder(share)
        # Its kernel has one processor and hands system calls over by ptrace: across processors of
        # the host that costs several times as much.
        cpus = sorted(os.sched_getaffinity(0))
        argv = ["taskset", "-c", str(cpus[slot % len(cpus)])] + argv
    else:
        argv = qemu(image, kernel, share)
    with open(os.path.join(share, "console"), "wb") as console:
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=console,
                              stderr=subprocess.STDOUT, env=env, start_new_session=True) as guest:
            RUNNING.add(guest.pid)
            try:
                guest.wait(limit)
            except subprocess.TimeoutExpired:
                pass
            end(guest.pid)
    return read(os.path.join(share, "console"))


def uml(image, share):
    return [os.path.join(image, "vmlinuz.uml"), "mem=768M",
            f"ubd0={share}/cow,{image}/root.ext4", "root=/dev/ubda", "rw", "init=/lab/init",
            f"uml_dir={share}/", "umid=guest", "con=null", "con0=null,fd:1", f"lab.share={share}",
            "quiet", "loglevel=3"]


def memory_folder(share):
    """Where user-mode Linux keeps the guest's memory: a tmpfs that may hold code, if there is one."""
    for folder in ("/dev/shm", "/run"):
        for line in read("/proc/mounts").splitlines():
            _, where, kind, options = line.split()[:4]
            if (where == folder and kind == "tmpfs" and "noexec" not in options.split(",") and
                    os.access(folder, os.W_OK)):
                return folder
    return share


def qemu(image, kernel, share):
    """
    Two processors, each a node with half of the memory; a disk that is attached to node 1. They do
    not say that they have ERMS, or the kernel would copy from and to user space by "rep movsb": TCG
    does that a byte at a time, several times slower than what the kernel copies for itself.
    """
    with open(f"{share}/far.img", "wb") as file:
        file.truncate(64 << 20)
    return ["qemu-system-x86_64", "-accel", "tcg,thread=multi,tb-size=256",
            "-cpu", "max,-erms,-fsrm", "-smp", "2", "-m", "1024",
            "-object", "memory-backend-ram,id=m0,size=512M", "-numa", "node,cpus=0,memdev=m0",
            "-object", "memory-backend-ram,id=m1,size=512M", "-numa", "node,cpus=1,memdev=m1",
            "-nodefaults", "-display", "none", "-serial", "stdio",
            "-no-reboot", "-kernel", f"{image}/vmlinuz.{kernel}",
            "-initrd", f"{image}/initramfs.{kernel}",
            "-append", "console=ttyS0 quiet loglevel=3 panic=-1 mitigations=off",
            "-drive", f"file={image}/root.ext4,if=none,id=root,format=raw,snapshot=on",
            "-device", "virtio-blk-pci,bus=pci.0,drive=root",
            "-device", "pxb,id=far,bus_nr=128,numa_node=1",
            "-drive", f"file={share}/far.img,if=none,id=far,format=raw",
            "-device", "virtio-blk-pci,bus=far,addr=1,drive=far,serial=far",
            "-fsdev", f"local,id=share,path={share},security_model=none",
            "-device", "virtio-9p-pci,bus=pci.0,fsdev=share,mount_tag=share",
            "-device", "virtio-rng-pci,bus=pci.0"]


def end(pid):
    RUNNING.discard(pid)
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def interrupted(number, frame):
    del frame
    for pid in list(RUNNING):
        end(pid)
    os._exit(128 + number)
