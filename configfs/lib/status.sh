# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
# What is attached and exported, for people and for programs.

status() {
	if [ "$json" = yes ]; then
		status_json
		return
	fi
	for device in $(devices); do
		echo "${device##*/}  $(cat "$device/attrib/dev_config")  \
$(cat "$device/attrib/dev_size") bytes, blocks of $(cat "$device/attrib/hw_block_size")  \
${device#"$target"/}$(is_enabled "$device" || echo '  NOT ENABLED')"
		for link in $(exports "$device"); do
			status_export "$link"
		done
	done
}

status_export() {
	lun=${1%/*}
	tpg=${lun%/lun/*}
	case $lun in
	"$target"/loopback/*)
		echo "    loopback$(disk_note "$lun")$(used=$(loopback_user "$lun") && echo ", $used")"
		;;
	"$target"/iscsi/*)
		users=$(sessions_of "$tpg" | tr '\n' ' ')
		echo "    iscsi $(iqn_of "$tpg")  LUN ${lun##*/lun_}  $(portals_of "$tpg")  \
$(access_of "$tpg")${users:+  logged in: ${users% }}"
		;;
	*) echo "    ${lun#"$target"/}" ;;
	esac
}

iqn_of() { path=${1#"$target"/iscsi/} && echo "${path%/*}"; }

json_text() { printf '"%s"' "$(printf '%s' "$1" | sed 's/[\\"]/\\&/g')"; }

# json_list WORD...: a list of texts
json_list() {
	list=''
	for word; do
		list="$list${list:+, }$(json_text "$word")"
	done
	printf '[%s]' "$list"
}

status_json() {
	printf '{"storages": ['
	comma=''
	for device in $(devices); do
		enabled=false
		is_enabled "$device" && enabled=true
		printf '%s\n  {"name": %s, "config": %s, "size": %s, "block_size": %s, ' "$comma" \
			"$(json_text "${device##*/}")" \
			"$(json_text "$(cat "$device/attrib/dev_config")")" \
			"$(cat "$device/attrib/dev_size")" "$(cat "$device/attrib/hw_block_size")"
		printf '"backstore": %s, "enabled": %s, "exports": [' \
			"$(json_text "${device#"$target"/}")" "$enabled"
		comma=''
		for link in $(exports "$device"); do
			printf '%s\n    ' "$comma"
			json_export "$link"
			comma=,
		done
		printf ']}'
		comma=,
	done
	printf ']}\n'
}

json_export() {
	lun=${1%/*}
	tpg=${lun%/lun/*}
	case $lun in
	"$target"/loopback/*)
		used=false
		loopback_user "$lun" >/dev/null && used=true
		printf '{"fabric": "loopback", "disk": %s, "in_use": %s}' \
			"$(json_text "$(disk=$(disk_of "$lun") && echo "/dev/$disk")")" "$used"
		;;
	"$target"/iscsi/*)
		# shellcheck disable=SC2046
		printf '{"fabric": "iscsi", "target": %s, "lun": %s, "portals": %s, "open": %s, "sessions": %s}' \
			"$(json_text "$(iqn_of "$tpg")")" "${lun##*/lun_}" \
			"$(json_list $(portals_of "$tpg"))" \
			"$([ "$(cat "$tpg/attrib/generate_node_acls")" = 1 ] && echo true || echo false)" \
			"$(json_list $(sessions_of "$tpg"))"
		;;
	*) printf '{"fabric": %s}' "$(json_text "${lun#"$target"/}")" ;;
	esac
}
