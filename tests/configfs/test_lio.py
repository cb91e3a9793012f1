#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""duotgt-lio against a kernel's target that is a folder. ctest passes DUOTGT and SOURCE."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
import kernel  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.environ.get("SOURCE") or os.path.dirname(os.path.dirname(HERE))
DUOTGT = os.environ["DUOTGT"]
SCRIPT = os.path.join(SOURCE, "configfs", "duotgt-lio")
OK, FAILED, USAGE, NOT_FOUND, IN_USE, PERMISSION, NOT_RUNNING, CONFIG = range(8)
IQN = "iqn.2026-11.io.duotgt.test:lio"
HOST = "iqn.2026-11.io.duotgt.test:host"


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="duotgt-lio-")
        self.addCleanup(folder.cleanup)
        self.root, self.programs = folder.name + "/root", folder.name + "/programs"
        self.target = self.root + "/sys/kernel/config/target"
        for path in ("core", "iscsi", "loopback"):
            os.makedirs(f"{self.target}/{path}")
        for name in ("target_core_user", "tcm_loop", "iscsi_target_mod"):
            os.makedirs(f"{self.root}/sys/module/{name}/parameters")
        for name in ("block_netlink", "reset_netlink"):
            self.put(f"sys/module/target_core_user/parameters/{name}", "0\n")
        self.put("proc/sys/kernel/osrelease", "6.1.0\n")
        self.put("proc/mounts", "configfs /sys/kernel/config configfs rw 0 0\n")
        self.put("proc/swaps", "Filename Type\n")
        self.put("proc/7/comm", "tcmu-runner\n")
        self.kernel = kernel.Kernel(self.root)
        self.addCleanup(self.kernel.close)
        for name in ("mkdir", "rmdir", "ln", "rm", "dd"):
            self.program(name, kernel.PROGRAM)
        self.program("modprobe", "#!/bin/sh\nexit 1\n")
        self.program("duotgt", f'#!/bin/sh\nexec {DUOTGT} "$@"\n')
        self.put("etc/duotgt/duotgt.json", "")
        self.image(1 << 20)
        self.configure()

    def program(self, name, text):
        self.put(f"../programs/{name}", text)
        os.chmod(f"{self.programs}/{name}", 0o755)

    def put(self, path, text):
        path = os.path.normpath(os.path.join(self.root, path))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def get(self, path):
        with open(os.path.join(self.root, path), encoding="utf-8") as file:
            return file.read().strip()

    def image(self, size):
        with open(self.root + "/disk.img", "ab") as file:
            file.truncate(size)

    def configure(self, **more):
        self.put("etc/duotgt/duotgt.json", json.dumps({
            "storages": [{"deviceID": 1, "name": "data", "path": self.root + "/disk.img"},
                         {"deviceID": 2, "path": "ram:2M", "blockShift": 12,
                          "writeCache": False}],
            "iscsiportals": [{"id": 1, "portal": "127.0.0.1:0"}],
            "iscsitargets": {IQN: {"tpgts": {"1": [1]}, "luns": {"0": 1, "1": 2}}}, **more}))

    def env(self):
        return {**os.environ, "PATH": f"{self.programs}:{os.environ['PATH']}",
                "KERNEL_PORT": str(self.kernel.port), "DUOTGT_ROOT": self.root}

    def lio(self, *args):
        return subprocess.run([SCRIPT, "--wait", "1", *args], env=self.env(), capture_output=True,
                              text=True, stdin=subprocess.DEVNULL, check=False, timeout=120)

    def does(self, *args, says=""):
        done = self.lio(*args)
        self.assertEqual((done.returncode, done.stderr), (OK, ""), (args, done.stdout))
        self.assertIn(says, done.stdout)
        return done.stdout

    def refuses(self, code, *args, says=""):
        done = self.lio(*args)
        self.assertEqual(done.returncode, code, (args, done.stdout, done.stderr))
        self.assertRegex(done.stderr, r"\Aduotgt: [^\n]+\n\Z", args)
        self.assertIn(says, done.stderr)

    def tree(self):
        """{path: content} of the target's."""
        found = {}
        for folder, folders, files in os.walk(self.target):
            for name in folders + files:
                path = os.path.join(folder, name)
                if os.path.islink(path):
                    found[path] = "-> " + os.path.realpath(path)
                else:
                    found[path] = self.get(path) if name in files else None
        return found


class Attach(Case):
    def test_values_come_from_the_storage(self):
        self.does("attach", "data", says="data: attached, 1048576 bytes, core/user_0/data")
        device = self.target + "/core/user_0/data/"
        for name, value in (("dev_config", "duotgt/data"), ("dev_size", "1048576"),
                            ("hw_block_size", "512"), ("hw_max_sectors", "8192"),
                            ("max_data_area_mb", "256"), ("cmd_time_out", "120"),
                            ("emulate_write_cache", "1"), ("alua_support", "0"),
                            ("emulate_pr", "1")):
            self.assertEqual(self.get(device + "attrib/" + name), value, name)
        self.assertEqual(self.get(device + "enable"), "1")
        self.assertRegex(self.get(device + "wwn/vpd_unit_serial"), r": [0-9a-f]{32}$")
        self.does("attach", "2")
        device = self.target + "/core/user_1/2/"
        self.assertEqual(self.get(device + "attrib/hw_block_size"), "4096")
        self.assertEqual(self.get(device + "attrib/emulate_write_cache"), "0")

    def test_the_daemon_serves(self):
        before = self.tree()
        self.configure(tcmu={"reservations": "duotgt"})
        self.put("proc/7/comm", "bash\n")
        self.refuses(NOT_RUNNING, "attach", "data", says="systemctl start duotgt")
        self.assertEqual(self.tree(), before)
        self.put("proc/8/comm", "duotgt\n")
        self.does("attach", "data")
        device = self.target + "/core/user_0/data/attrib/"
        self.assertEqual((self.get(device + "nl_reply_supported"), self.get(device + "pgr_support"),
                          self.get(device + "emulate_pr")), ("0", "0", "1"))
        self.does("detach", "data")
        self.put("proc/7/comm", "tcmu-runner\n")  # it knows nothing of us, and is not asked
        self.does("attach", "data")
        self.assertEqual(self.get(device + "nl_reply_supported"), "-1")

    def test_again_changes_nothing_but_the_size(self):
        self.does("attach", "data")
        before, count = self.tree(), self.kernel.count
        for name in ("data", "1"):
            self.does("attach", name, says="data: is attached, core/user_0/data")
        self.assertEqual((self.tree(), self.kernel.count), (before, count))
        self.image(3 << 20)
        self.does("attach", "data", says="data: has 3145728 bytes now")
        self.assertEqual(self.get(self.target + "/core/user_0/data/attrib/dev_size"), "3145728")

    def test_of_a_path(self):
        self.does("attach", self.root + "/disk.img", says="disk.img: attached")
        self.does("attach", self.root + "/disk.img", says="disk.img: is attached")
        other = self.put("other/disk.img", "x" * 4096)
        self.refuses(IN_USE, "attach", other, says="a backstore of that name is duotgt//")
        self.refuses(USAGE, "attach", self.put("other/a,b.img", "x" * 4096))

    def test_what_is_not_there(self):
        before = self.tree()
        self.refuses(NOT_FOUND, "attach", "nothing", says="no storage has that name")
        self.put("etc/duotgt/duotgt.json", "{")
        self.refuses(CONFIG, "attach", "data")
        self.assertEqual(self.tree(), before)

    def test_nobody_serves(self):
        before = self.tree()
        self.put("proc/7/comm", "bash\n")
        self.refuses(NOT_RUNNING, "attach", "data", says="systemctl start tcmu-runner")
        self.assertEqual(self.tree(), before)

    def test_who_serves_does_not_answer(self):
        before = self.tree()
        self.kernel.hangs = self.target + "/core/user_0/data/enable"
        self.refuses(NOT_RUNNING, "attach", "data", says="no answer")
        self.assertEqual(self.tree(), before)
        self.assertEqual(self.get("sys/module/target_core_user/parameters/block_netlink"), "0")

    def test_one_that_is_half_made_is_finished(self):
        subprocess.run(["mkdir", self.target + "/core/user_0"], env=self.env(), check=True)
        subprocess.run(["mkdir", self.target + "/core/user_0/data"], env=self.env(), check=True)
        self.put(self.target + "/core/user_0/data/attrib/dev_config", "duotgt/data\n")
        self.refuses(FAILED, "export", "data", "--loopback", says="half made")
        self.does("attach", "data", says="core/user_0/data")


class Undo(Case):
    def each_step_fails(self, *args, before=()):
        """Runs a command with its first change failing, then its second, and so on."""
        for command in before:
            self.does(*command)
        tree, begun = self.tree(), self.kernel.count
        self.does(*args)
        steps = self.kernel.count - begun
        after = self.tree()
        self.assertGreater(steps, 3)
        self.does("detach", "data", "--force")
        for command in before:
            self.does(*command)
        for step in range(1, steps + 1):
            code, words = ((PERMISSION, "Permission denied"), (FAILED, "Invalid argument"))[step % 2]
            self.kernel.fail, self.kernel.words = self.kernel.count + step, words
            self.refuses(code, *args)
            self.kernel.fail = 0
            self.assertEqual(self.tree(), tree, f"step {step}")
        self.does(*args)
        self.assertEqual(self.tree(), after)

    def test_attach(self):
        self.each_step_fails("attach", "data")

    def test_loopback(self):
        self.each_step_fails("export", "data", "--loopback", before=[("attach", "data")])

    def test_iscsi(self):
        secrets = self.put("secrets", "us a word\nthem another\n")
        os.chmod(secrets, 0o600)
        self.each_step_fails("export", "data", "--iscsi", IQN, "--portal", "127.0.0.1:3260",
                             "--portal", "[::1]:3261", "--acl", HOST, "--chap-file", secrets,
                             before=[("attach", "data")])

    def test_iscsi_second_lun(self):
        self.does("attach", "2")
        self.does("export", "2", "--iscsi", IQN, "--acl", HOST)
        self.each_step_fails("export", "data", "--iscsi", IQN, before=[("attach", "data")])

    def test_interrupted(self):
        before = self.tree()
        self.kernel.hangs = self.target + "/core/user_0/data/enable"
        with subprocess.Popen([SCRIPT, "--wait", "60", "attach", "data"], env=self.env(),
                              stderr=subprocess.PIPE, text=True) as process:
            while not os.path.exists(self.target + "/core/user_0/data/wwn") or not self.get(
                    self.target + "/core/user_0/data/wwn/vpd_unit_serial"):
                time.sleep(0.05)
            time.sleep(0.3)
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(60), FAILED)
            self.assertIn("interrupted", process.stderr.read())
        self.assertEqual(self.tree(), before)


class Export(Case):
    def setUp(self):
        super().setUp()
        self.before = self.tree()
        self.does("attach", "data")

    def test_loopback(self):
        self.does("export", "data", "--loopback", says="data: exported, loopback, /dev/sd")
        count = self.kernel.count
        self.does("export", "data", "--loopback", says="data: is exported, loopback, /dev/sd")
        self.assertEqual(self.kernel.count, count)
        self.does("detach", "data", says="data: detached")
        self.assertEqual(self.tree(), self.before)

    def test_iscsi_for_anybody(self):
        self.does("export", "data", "--iscsi", IQN, says="LUN 0, portals 127.0.0.1:3260, any")
        tpg = f"{self.target}/iscsi/{IQN}/tpgt_1/"
        for name, value in (("generate_node_acls", "1"), ("demo_mode_write_protect", "0"),
                            ("authentication", "0"), ("cache_dynamic_acls", "1")):
            self.assertEqual(self.get(tpg + "attrib/" + name), value, name)
        self.assertEqual(self.get(tpg + "enable"), "1")
        tree = self.tree()
        self.does("export", "data", "--iscsi", IQN)
        self.assertEqual(self.tree(), tree)
        self.refuses(IN_USE, "export", "data", "--iscsi", IQN, "--acl", HOST, says="shut out")
        self.does("detach", "data")
        self.assertEqual(self.tree(), self.before)

    def test_iscsi_for_some(self):
        secrets = self.put("secrets", "us a word\n")
        os.chmod(secrets, 0o644)
        args = ("export", "data", "--iscsi", IQN, "--acl", HOST, "--chap-file", secrets)
        self.refuses(PERMISSION, *args, says="chmod 600")
        os.chmod(secrets, 0o600)
        self.does(*args, says="named initiators with CHAP")
        tpg = f"{self.target}/iscsi/{IQN}/tpgt_1/"
        self.assertEqual(self.get(tpg + "attrib/generate_node_acls"), "0")
        self.assertEqual(self.get(tpg + "attrib/authentication"), "1")
        self.assertEqual(self.get(f"{tpg}acls/{HOST}/auth/userid"), "us")
        self.assertEqual(self.get(f"{tpg}acls/{HOST}/auth/password"), "a word")
        self.assertEqual(os.path.realpath(f"{tpg}acls/{HOST}/lun_0/lun"),
                         os.path.realpath(tpg + "lun/lun_0"))
        self.does("attach", "2")
        self.does("export", "2", "--iscsi", IQN, says="LUN 1")
        self.assertEqual(os.path.realpath(f"{tpg}acls/{HOST}/lun_1/lun"),
                         os.path.realpath(tpg + "lun/lun_1"))
        self.does("detach", "data")
        self.assertTrue(os.path.isdir(tpg + "lun/lun_1"))
        self.does("detach", "2")
        self.assertEqual(self.tree(), self.before)

    def test_refuses_while_in_use(self):
        self.does("export", "data", "--loopback")
        self.does("export", "data", "--iscsi", IQN)
        disk = json.loads(self.does("status", "--json"))["storages"][0]["exports"]
        disk = next(e["disk"] for e in disk if e["fabric"] == "loopback")
        tree = self.tree()
        mounts = self.get("proc/mounts")
        self.put("proc/mounts", f"{mounts}\n{disk}1 /mnt ext4 rw 0 0\n")
        for verb in (("detach", "data"), ("clear",)):
            self.refuses(IN_USE, *verb, says="is mounted on /mnt")
        self.put("proc/mounts", mounts + "\n")
        os.mkdir(f"{self.root}/sys/block/{disk[5:]}/holders/dm-0")
        self.refuses(IN_USE, "detach", "data", says="is part of dm-0")
        os.rmdir(f"{self.root}/sys/block/{disk[5:]}/holders/dm-0")
        self.put("proc/swaps", f"Filename Type\n{disk} partition\n")
        self.refuses(IN_USE, "detach", "data", says="is swap")
        self.put("proc/swaps", "Filename Type\n")
        sessions = f"{self.target}/iscsi/{IQN}/tpgt_1/dynamic_sessions"
        self.put(sessions, HOST + "\0")
        self.refuses(IN_USE, "detach", "data", says=HOST)
        self.put(sessions, "")
        self.assertEqual(self.tree(), tree)
        self.put(sessions, HOST + "\0")
        self.does("detach", "data", "--force")
        self.assertEqual(self.tree(), self.before)

    def test_what_others_made_stays(self):
        for path in ("/core/fileio_0", "/core/fileio_0/theirs", f"/iscsi/{IQN}",
                     f"/iscsi/{IQN}/tpgt_1", f"/iscsi/{IQN}/tpgt_1/lun/lun_0"):
            subprocess.run(["mkdir", self.target + path], env=self.env(), check=True)
        self.put(self.target + "/core/fileio_0/theirs/enable", "1\n")
        subprocess.run(["ln", "-s", self.target + "/core/fileio_0/theirs",
                        f"{self.target}/iscsi/{IQN}/tpgt_1/lun/lun_0/x"], env=self.env(),
                       check=True)
        self.put(f"{self.target}/iscsi/{IQN}/tpgt_1/enable", "1\n")
        theirs = self.tree()
        self.does("export", "data", "--iscsi", IQN, says="LUN 1")
        self.does("clear")
        self.does("attach", "data")
        self.assertEqual(self.tree(), theirs)
        os.makedirs(self.target + "/vhost")
        for path in ("/vhost/naa.1", "/vhost/naa.1/tpgt_1", "/vhost/naa.1/tpgt_1/lun/lun_0"):
            subprocess.run(["mkdir", self.target + path], env=self.env(), check=True)
        subprocess.run(["ln", "-s", self.target + "/core/user_0/data",
                        self.target + "/vhost/naa.1/tpgt_1/lun/lun_0/x"], env=self.env(),
                       check=True)
        self.refuses(IN_USE, "detach", "data", "--force", says="vhost/naa.1")

    def test_status(self):
        self.does("export", "data", "--loopback")
        self.does("export", "data", "--iscsi", IQN, "--portal", "127.0.0.1:3260")
        self.put(f"{self.target}/iscsi/{IQN}/tpgt_1/dynamic_sessions", HOST + "\0")
        text = self.does("status")
        for words in ("duotgt/data", "1048576 bytes", "loopback, /dev/sd", HOST, "LUN 0"):
            self.assertIn(words, text)
        storage, = json.loads(self.does("status", "--json"))["storages"]
        self.assertEqual((storage["name"], storage["size"], storage["block_size"],
                          storage["enabled"]), ("data", 1 << 20, 512, True))
        exports = {export.pop("fabric"): export for export in storage["exports"]}
        self.assertEqual(exports["iscsi"], {"target": IQN, "lun": 0, "open": True,
                                            "portals": ["127.0.0.1:3260"], "sessions": [HOST]})
        self.assertRegex(exports["loopback"]["disk"], r"^/dev/sd.$")
        self.does("detach", "data", "--force")
        self.assertEqual(json.loads(self.does("status", "--json")), {"storages": []})

    def test_refuses_to_export(self):
        for args in (("--loopback", "--iscsi", IQN), (), ("--loopback", "--portal", "1.2.3.4:1"),
                     ("--iscsi", "disk"), ("--iscsi", "iqn.2026-11.Io:x"),
                     ("--iscsi", IQN, "--portal", "host:1"), ("--iscsi", IQN, "--portal", "1.2.3.4"),
                     ("--iscsi", IQN, "--acl", "../x")):
            self.refuses(USAGE, "export", "data", *args)
        self.refuses(NOT_FOUND, "export", "2", "--loopback", says="duotgt-lio attach 2")


class Saved(Case):
    def test_save_and_restore(self):
        secrets = self.put("secrets", "us a word\nthem another word\n")
        os.chmod(secrets, 0o600)
        before = self.tree()
        for args in (("attach", "data"), ("attach", "2"), ("export", "data", "--loopback"),
                     ("export", "data", "--iscsi", IQN, "--acl", HOST, "--chap-file", secrets),
                     ("export", "2", "--iscsi", IQN + "-open", "--portal", "127.0.0.1:3261"),
                     ("save",)):
            self.does(*args)
        tree = self.tree()
        folder = self.root + "/var/lib/duotgt"
        for name in os.listdir(folder):
            self.assertEqual(stat.S_IMODE(os.stat(f"{folder}/{name}").st_mode), 0o600, name)
        self.does("restore")  # of what is there: nothing changes
        self.assertEqual(self.tree(), tree)
        self.does("clear")
        self.assertEqual(self.tree(), before)
        os.unlink(secrets)
        self.does("restore")
        self.assertEqual(self.tree(), tree)

    def test_one_that_fails_does_not_keep_the_others(self):
        for args in (("attach", "data"), ("attach", "2"), ("save",), ("clear",)):
            self.does(*args)
        os.unlink(self.root + "/disk.img")
        done = self.lio("restore")
        self.assertEqual(done.returncode, NOT_FOUND, done.stderr)
        self.assertIn("2: attached", done.stdout)

    def test_what_cannot_be_restored(self):
        self.refuses(NOT_FOUND, "restore", says="duotgt-lio save")
        self.put("var/lib/duotgt/lio.saved", "clear --force\n")
        self.refuses(CONFIG, "restore")


class Rest(Case):
    def test_usage(self):
        for args in ((), ("frobnicate",), ("attach",), ("attach", "a", "b"), ("status", "x"),
                     ("attach", "--json", "data"), ("status", "--force"), ("attach", "--nonsense"),
                     ("attach", "data", "--loopback"), ("--wait", "x", "status"), ("--root",)):
            self.refuses(USAGE, *args, says="duotgt-lio --help")
        self.assertIn("usage: duotgt-lio", self.does("--help"))

    def test_one_at_a_time(self):
        os.makedirs(self.root + "/run/lock")
        with subprocess.Popen(["flock", self.root + "/run/lock/duotgt-lio", "sleep", "60"]) as other:
            time.sleep(0.3)
            self.refuses(IN_USE, "attach", "data", says="another duotgt-lio")
            self.does("status")
            other.kill()

    def test_no_target(self):
        shutil.rmtree(self.target)
        self.refuses(FAILED if os.getuid() == 0 else PERMISSION, "attach", "data", says="doctor")
        self.assertEqual(self.does("status"), "")

    def test_doctor(self):
        self.program("dbus-send", "#!/bin/sh\necho 'object path "
                     "\"/org/kernel/TCMUService1/duotgt\"'\n")
        done = self.lio("doctor")
        self.assertEqual(done.returncode, FAILED)
        self.assertIn("handler_duotgt.so is not installed", done.stdout)
        self.put("usr/lib/x86_64-linux-gnu/tcmu-runner/handler_duotgt.so", "")
        text = self.does("doctor", says="no D-Bus")
        self.assertNotIn("missing", text)
        os.rmdir(self.root + "/sys/module/tcm_loop/parameters")
        os.rmdir(self.root + "/sys/module/tcm_loop")
        self.put("proc/mounts", "")
        self.put("proc/7/comm", "bash\n")
        self.put("etc/duotgt/duotgt.json", "{}")
        done = self.lio("doctor")
        self.assertEqual(done.returncode, FAILED)
        for words in ("configfs is not mounted", "mount -t configfs", "no module tcm_loop",
                      "systemctl start", "duotgt.json:1:1"):
            self.assertIn(words, done.stdout)

    @unittest.skipUnless(shutil.which("shellcheck"), "shellcheck is not installed")
    def test_shellcheck(self):
        done = subprocess.run(["shellcheck", "-x", "-S", "info", "-e", "SC2016,SC2015,SC2034",
                               SCRIPT, *(f"{SOURCE}/configfs/lib/{name}" for name in
                                         sorted(os.listdir(SOURCE + "/configfs/lib")))],
                              capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (0, ""))


if __name__ == "__main__":
    unittest.main(verbosity=2)
