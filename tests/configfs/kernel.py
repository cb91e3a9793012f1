#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
The kernel's target as duotgt-lio meets it, in a folder: what mkdir makes appear, what rmdir and
attributes refuse. Its first argument says what it stands in for: mkdir, rmdir, ln, rm or dd, which a
test puts first on PATH. What lies outside the target's tree is left to the real ones.

In $SIM: "made", folders that were made, one a line; "fail", the number of the change that fails,
and with which words; "count", changes so far; "hang", the paths of attributes that wait for ever.
"""

import os
import sys
import time

ROOT, SIM = os.environ["DUOTGT_ROOT"], os.environ["SIM"]
TARGET = ROOT + "/sys/kernel/config/target"

DEVICE = {"control": "", "enable": "0", "info": "", "wwn/vpd_unit_serial": "",
          "attrib/dev_config": "", "attrib/dev_size": "0", "attrib/hw_block_size": "512",
          "attrib/hw_max_sectors": "128", "attrib/max_data_area_mb": "1024",
          "attrib/nl_reply_supported": "0", "attrib/cmd_time_out": "30",
          "attrib/emulate_write_cache": "0", "attrib/alua_support": "1", "attrib/emulate_pr": "1"}
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


def made():
    return read(SIM + "/made").split()


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


def make(path):
    content = content_of(path[len(TARGET) + 1:].split("/"))
    if os.path.exists(path):
        raise Refused("File exists")
    if content is None or not os.path.isdir(os.path.dirname(path)):
        raise Refused("Operation not permitted")
    os.mkdir(path)
    fill(path, content)
    if "/loopback/" in path and path.endswith("/tpgt_1"):
        write(path + "/address", f"{4 + path.count('a')}:0:1\n")
    with open(SIM + "/made", "a", encoding="utf-8") as file:
        file.write(path + "\n")


def links_to(path):
    for folder, folders, _ in os.walk(TARGET):
        for name in folders:
            link = os.path.join(folder, name)
            if os.path.islink(link) and os.path.realpath(link) == os.path.realpath(path):
                yield link


def remove(path):
    if path not in made():
        raise Refused("Operation not permitted" if os.path.exists(path)
                      else "No such file or directory")
    inside = [p for p in made() if p.startswith(path + "/")]
    links = [os.path.join(folder, name) for folder, names, _ in os.walk(path) for name in names
             if os.path.islink(os.path.join(folder, name))]
    if inside or links:
        raise Refused("Directory not empty")
    if any(links_to(path)):
        raise Refused("Device or resource busy")
    for folder, folders, files in os.walk(path, topdown=False):
        for name in files:
            os.unlink(os.path.join(folder, name))
        os.rmdir(folder)
    write(SIM + "/made", "".join(p + "\n" for p in made() if p != path))


def disk(path):
    """Of a LUN of tcm_loop's: (folder in sysfs, folder of the disk)."""
    address = read(path.partition("/lun/")[0] + "/address").strip()
    name = "sd" + chr(ord("a") + int(address.partition(":")[0]))
    return (f"{ROOT}/sys/class/scsi_device/{address}:{path.rpartition('_')[2]}",
            f"{ROOT}/sys/block/{name}")


def link(to, path):
    parent = os.path.dirname(path)
    if parent not in made() or not os.path.isdir(to):
        raise Refused("No such file or directory")
    if "/core/" in to and read(to + "/enable").strip() != "1":
        raise Refused("No such device")
    os.symlink(to, path)
    if "/loopback/" in path:
        sysfs, block = disk(parent)
        os.makedirs(f"{sysfs}/device/block/{os.path.basename(block)}")
        os.makedirs(block + "/holders", exist_ok=True)


def unlink(path):
    if not os.path.islink(path):
        raise Refused("Operation not permitted")
    parent = os.path.dirname(path)
    if any(links_to(parent)):
        raise Refused("Device or resource busy")
    os.unlink(path)
    if "/loopback/" in path:
        sysfs, _ = disk(parent)
        os.removedirs(sysfs + "/device/block/" + os.path.basename(disk(parent)[1]))


def control(device, text):
    for pair in text.split(","):
        key, _, value = pair.partition("=")
        if not value or not os.path.exists(f"{device}/attrib/{key}"):
            raise Refused("Invalid argument")
        write(f"{device}/attrib/{key}", value[:255] + "\n")


def store(path, text):
    name, folder = os.path.basename(path), os.path.dirname(path)
    if not os.path.isfile(path):
        raise Refused("No such file or directory")
    if path in read(SIM + "/hang").split():
        wait_for_reset()
    if "/core/" in path:
        device = os.path.dirname(folder) if name != "control" and name != "enable" else folder
        enabled = read(device + "/enable").strip() == "1"
        if name == "control":
            if enabled:
                raise Refused("Device or resource busy")
            control(device, text)
            return
        if name == "enable" and (enabled or text != "1" or
                                 read(device + "/attrib/dev_size").strip() == "0"):
            raise Refused("Invalid argument")
        if name in EXPORTED and any(links_to(device)):
            raise Refused("Invalid argument")
        if name == "vpd_unit_serial":
            text = "T10 VPD Unit Serial Number: " + text
    if name == "nexus" and read(path):
        raise Refused("File exists")
    write(path, text + "\n")


def wait_for_reset():
    reset = ROOT + "/sys/module/target_core_user/parameters/reset_netlink"
    while read(reset).strip() != "1":
        time.sleep(0.02)
    raise Refused("Interrupted system call")


def change(name, argv):
    count = int(read(SIM + "/count")) + 1
    write(SIM + "/count", str(count))
    number, _, words = read(SIM + "/fail").partition(" ")
    if number and int(number) == count:
        raise Refused(words.strip())
    if name == "mkdir":
        make(argv[-1])
    elif name == "rmdir":
        remove(argv[-1])
    elif name == "ln":
        link(argv[-2], argv[-1])
    elif name == "rm":
        unlink(argv[-1])
    else:
        path = next(word[3:] for word in argv if word.startswith("of="))
        store(path, sys.stdin.read())


def main():
    name, argv = sys.argv[1], sys.argv[2:]
    if not any(word.partition("of=")[2].startswith(TARGET + "/") or word.startswith(TARGET + "/")
               for word in argv):
        os.execv(f"/bin/{name}", [name] + argv)
    try:
        change(name, argv)
    except Refused as why:
        print(f"{name}: '{argv[-1]}': {why}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
