# SPDX-License-Identifier: Apache-2.0
"""
The kernel's target as duotgt-lio meets it, in a folder: what mkdir makes appear, what rmdir and
attributes refuse. A test puts PROGRAM on PATH as mkdir, rmdir, ln, rm and dd; what is about the
target's tree comes here through a socket, the rest is left to the real ones.
"""

import os
import socketserver
import threading
import time

PROGRAM = """#!/bin/bash
name=${0##*/}
case " $*" in
*[\\ =]"$DUOTGT_ROOT/sys/kernel/config/target"/*) ;;
*) exec "/bin/$name" "$@" ;;
esac
value=
[ "$name" = dd ] && IFS= read -r -d '' value
exec 3<>"/dev/tcp/127.0.0.1/$KERNEL_PORT"
printf '%s\\n' $(($# + 2)) "$name" "$@" "$value" >&3
read -r status <&3
[ "$status" = ok ] && exit
echo "$name: $status" >&2
exit 1
"""

DEVICE = {"control": "", "enable": "0", "info": "", "wwn/vpd_unit_serial": "",
          "attrib/dev_config": "", "attrib/dev_size": "0", "attrib/hw_block_size": "512",
          "attrib/hw_max_sectors": "128", "attrib/max_data_area_mb": "1024",
          "attrib/nl_reply_supported": "0", "attrib/cmd_time_out": "30",
          "attrib/emulate_write_cache": "0", "attrib/alua_support": "1", "attrib/emulate_pr": "1",
          "attrib/pgr_support": "1"}
LOOP_TPG = {"nexus": "", "address": "", "enable": "0", "lun/": ""}
SECRETS = {"userid": "", "password": "", "userid_mutual": "", "password_mutual": ""}
ISCSI_TPG = {"enable": "0", "dynamic_sessions": "", "np/": "", "lun/": "", "acls/": "",
             "attrib/generate_node_acls": "0", "attrib/cache_dynamic_acls": "0",
             "attrib/demo_mode_write_protect": "1", "attrib/authentication": "1",
             **{"auth/" + name: "" for name in SECRETS}}
ACL = {"info": "No active iSCSI Session for Initiator Endpoint: x",
       **{"auth/" + name: "" for name in SECRETS}}
EXPORTED = ("cmd_time_out", "vpd_unit_serial", "alua_support", "emulate_pr", "hw_block_size")


class Refused(Exception):
    pass


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def fill(folder, content):
    for name, text in content.items():
        path = os.path.join(folder, name)
        os.makedirs(path if name.endswith("/") else os.path.dirname(path), exist_ok=True)
        if not name.endswith("/"):
            write(path, text + "\n" if text else "")


def content_of(parts):
    """What appears in a new folder, by its place below the target's; None: not to be made."""
    kind = [part.partition("_")[0] for part in parts]
    if kind[:2] in (["core", "user"], ["core", "fileio"]) and len(parts) in (2, 3):
        return {"hba_info": ""} if len(parts) == 2 else DEVICE
    if parts in (["loopback"], ["iscsi"]):
        return {"version": ""}
    if parts[0] in ("loopback", "iscsi", "vhost"):
        if len(parts) == 2:
            return {}
        if len(parts) == 3 and kind[2] == "tpgt":
            return ISCSI_TPG if parts[0] == "iscsi" else LOOP_TPG
        if len(parts) == 5 and (parts[3], kind[4]) == ("lun", "lun"):
            return {"statistics/dev": ""}
        if len(parts) == 5 and parts[3] == "np":
            return {"tcp": "1"}
        if len(parts) == 5 and parts[3] == "acls":
            return ACL
        if len(parts) == 6 and (parts[3], kind[5]) == ("acls", "lun"):
            return {"write_protect": "0"}
    return None


class Kernel:
    """Serves the programs until close()."""

    def __init__(self, root):
        self.root, self.target = root, root + "/sys/kernel/config/target"
        self.folders = []  # that were made
        self.count = 0  # changes so far
        self.fail, self.words = 0, ""  # the number of the change that is refused, and how
        self.hangs = None  # an attribute that waits until netlink is reset
        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), self.serve)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def serve(self, request, address, server):
        del address, server
        with request.makefile("rw", encoding="utf-8") as file:
            words = [file.readline().rstrip("\n") for _ in range(int(file.readline()))]
            try:
                self.change(words[0], words[1:-1], words[-1])
                file.write("ok\n")
            except (Refused, OSError) as why:
                file.write(f"'{words[-2]}': {why}\n")

    def change(self, name, argv, value):
        self.count += 1
        if self.count == self.fail:
            raise Refused(self.words)
        if name == "mkdir":
            self.make(argv[-1])
        elif name == "rmdir":
            self.remove(argv[-1])
        elif name == "ln":
            self.link(argv[-2], argv[-1])
        elif name == "rm":
            self.unlink(argv[-1])
        else:
            self.store(next(word[3:] for word in argv if word.startswith("of=")), value)

    def make(self, path):
        content = content_of(path[len(self.target) + 1:].split("/"))
        if os.path.exists(path):
            raise Refused("File exists")
        if content is None or not os.path.isdir(os.path.dirname(path)):
            raise Refused("Operation not permitted")
        os.mkdir(path)
        fill(path, content)
        if "/loopback/" in path and path.endswith("/tpgt_1"):
            write(path + "/address", f"{4 + path.count('a')}:0:1\n")
        self.folders.append(path)

    def links_to(self, path):
        for folder, folders, _ in os.walk(self.target):
            for name in folders:
                link = os.path.join(folder, name)
                if os.path.islink(link) and os.path.realpath(link) == os.path.realpath(path):
                    yield link

    def remove(self, path):
        if path not in self.folders:
            raise Refused("Operation not permitted" if os.path.exists(path)
                          else "No such file or directory")
        inside = [p for p in self.folders if p.startswith(path + "/")]
        links = [os.path.join(folder, name) for folder, names, _ in os.walk(path) for name in names
                 if os.path.islink(os.path.join(folder, name))]
        if inside or links:
            raise Refused("Directory not empty")
        if any(self.links_to(path)):
            raise Refused("Device or resource busy")
        for folder, folders, files in os.walk(path, topdown=False):
            for name in files:
                os.unlink(os.path.join(folder, name))
            os.rmdir(folder)
        self.folders.remove(path)

    def disk(self, path):
        """Of a LUN of tcm_loop's: (folder in sysfs, folder of the disk)."""
        address = read(path.partition("/lun/")[0] + "/address").strip()
        name = "sd" + chr(ord("a") + int(address.partition(":")[0]))
        return (f"{self.root}/sys/class/scsi_device/{address}:{path.rpartition('_')[2]}",
                f"{self.root}/sys/block/{name}")

    def link(self, to, path):
        parent = os.path.dirname(path)
        if parent not in self.folders or not os.path.isdir(to):
            raise Refused("No such file or directory")
        if "/core/" in to and read(to + "/enable").strip() != "1":
            raise Refused("No such device")
        os.symlink(to, path)
        if "/loopback/" in path:
            sysfs, block = self.disk(parent)
            os.makedirs(f"{sysfs}/device/block/{os.path.basename(block)}")
            os.makedirs(block + "/holders", exist_ok=True)

    def unlink(self, path):
        if not os.path.islink(path):
            raise Refused("Operation not permitted")
        parent = os.path.dirname(path)
        if any(self.links_to(parent)):
            raise Refused("Device or resource busy")
        os.unlink(path)
        if "/loopback/" in path:
            sysfs, _ = self.disk(parent)
            os.removedirs(sysfs + "/device/block/" + os.path.basename(self.disk(parent)[1]))

    def control(self, device, text):
        for pair in text.split(","):
            key, _, value = pair.partition("=")
            if not value or not os.path.exists(f"{device}/attrib/{key}"):
                raise Refused("Invalid argument")
            write(f"{device}/attrib/{key}", value[:255] + "\n")

    def store(self, path, text):
        name, folder = os.path.basename(path), os.path.dirname(path)
        if not os.path.isfile(path):
            raise Refused("No such file or directory")
        if path == self.hangs:
            self.wait_for_reset()
        if "/core/" in path:
            device = os.path.dirname(folder) if name != "control" and name != "enable" else folder
            enabled = read(device + "/enable").strip() == "1"
            if name == "control":
                if enabled:
                    raise Refused("Device or resource busy")
                self.control(device, text)
                return
            if name == "enable" and (enabled or text != "1" or
                                     read(device + "/attrib/dev_size").strip() == "0"):
                raise Refused("Invalid argument")
            if name in EXPORTED and any(self.links_to(device)):
                raise Refused("Invalid argument")
            if name == "vpd_unit_serial":
                text = "T10 VPD Unit Serial Number: " + text
        if name == "nexus" and read(path):
            raise Refused("File exists")
        write(path, text + "\n")

    def wait_for_reset(self):
        reset = self.root + "/sys/module/target_core_user/parameters/reset_netlink"
        while read(reset).strip() != "1":
            time.sleep(0.02)
        raise Refused("Interrupted system call")
