# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
# What has to be there for a storage to be attached and exported, and the command that mends it.

doctor() {
	missing=0
	kernel=$(cat "$root/proc/sys/kernel/osrelease" 2>/dev/null || uname -r)
	if [ -d "$root/sys/kernel/config" ] && grep -q ' configfs ' "$root/proc/mounts"; then
		good 'configfs is mounted'
	else
		bad 'configfs is not mounted' \
			'modprobe configfs && mount -t configfs configfs /sys/kernel/config'
	fi
	look_at_module target_core_user 'backstores of user space'
	look_at_module tcm_loop 'export --loopback'
	look_at_module iscsi_target_mod 'export --iscsi'
	if program_runs tcmu-runner; then
		look_at_runner
	elif program_runs duotgt; then
		good "duotgt daemon runs; tcmu-runner does not, and is only needed for targetcli"
	else
		bad 'neither tcmu-runner nor duotgt daemon runs' \
			'systemctl start tcmu-runner, or systemctl start duotgt'
	fi
	program_runs duotgt ||
		note 'no duotgt daemon runs: the plug-in then serves within tcmu-runner'
	if said=$(duotgt daemon --check --config "$config" 2>&1); then
		good "$config is in order"
	else
		bad "${said#duotgt: }" "correct $config"
	fi
	[ $missing = 0 ]
}

good() { echo "ok       $1"; }
note() { echo "note     $1"; }
bad() {
	echo "missing  $1"
	echo "         mend: $2"
	missing=1
}

# look_at_module NAME FOR
look_at_module() {
	if [ -d "$root/sys/module/$1" ]; then
		good "module $1 is loaded"
	elif modprobe -n -q "$1" 2>/dev/null; then
		bad "module $1 is not loaded ($2)" "modprobe $1"
	else
		bad "kernel $kernel has no module $1 ($2)" \
			'install a kernel that has it, such as linux-image-amd64'
	fi
}

look_at_runner() {
	plugin=$(find "$root"/usr/lib/*/tcmu-runner "$root"/usr/lib/tcmu-runner \
		-name handler_duotgt.so 2>/dev/null | head -n 1)
	good 'tcmu-runner runs'
	if [ -z "$plugin" ]; then
		bad 'its plug-in handler_duotgt.so is not installed' \
			'cmake --install build, then systemctl restart tcmu-runner'
	elif ! has_bus; then
		note 'no D-Bus: tcmu-runner serves, but targetcli has no /backstores/user:duotgt'
	elif ! command -v dbus-send >/dev/null; then
		note 'dbus-send is not installed: whether the plug-in is loaded cannot be seen'
	elif runner_ready; then
		good 'tcmu-runner has loaded handler_duotgt.so'
	else
		bad 'tcmu-runner has not loaded handler_duotgt.so' 'systemctl restart tcmu-runner'
	fi
}
