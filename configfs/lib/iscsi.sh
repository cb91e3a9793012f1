# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154,SC2086
# Targets of the kernel's iSCSI: portals, LUNs, who may log in.

export_iscsi() {
	check_iscsi_arguments
	need_module iscsi_target_mod "$target/iscsi"
	tpg=$target/iscsi/$iqn/tpgt_1
	new=no
	[ -d "$tpg" ] || new=yes
	[ -d "$tpg" ] || portals=${portals:- 127.0.0.1:3260}
	make_folder "${tpg%/*}"
	make_folder "$tpg"
	check_access
	for portal in $portals; do
		make_folder "$tpg/np/$portal"
	done
	lun=$(lun_of "$1") || lun=$(free_lun)
	make_folder "$lun"
	link_to "$1" "$lun/$name"
	set_access
	change_value 1 "$tpg/enable"
	echo "$name: exported, iscsi $iqn, LUN ${lun##*/lun_}, \
portals $(portals_of "$tpg"), $(access_of "$tpg")"
}

check_iscsi_arguments() {
	for word in "$iqn" $acls; do
		case $word in
		*[!a-z0-9.:-]*) bad_usage "$word: is no iSCSI name (lower case letters, digits, . - :)" ;;
		iqn.* | eui.* | naa.*) ;;
		*) bad_usage "$word: is no iSCSI name (iqn., eui. or naa.)" ;;
		esac
	done
	for portal in $portals; do
		case $portal in
		*[!0-9a-fA-F.:\[\]]* | *: | :*) bad_usage "--portal: $portal is not ADDR:PORT" ;;
		*:*[0-9]) ;;
		*) bad_usage "--portal: $portal is not ADDR:PORT" ;;
		esac
	done
	[ -z "$chap_file" ] || read_chap
}

# read_chap: "USER PASSWORD", and in a second line what the target proves itself with, if anything
read_chap() {
	[ -r "$chap_file" ] || die 3 "$chap_file: cannot be read"
	case $(stat -c %a "$chap_file") in
	*00) ;;
	*) die 5 "$chap_file: others can read it (chmod 600 $chap_file)" ;;
	esac
	user='' password='' user_mutual='' password_mutual=''
	{
		read -r user password
		read -r user_mutual password_mutual
	} <"$chap_file"
	[ -n "$password" ] || die 7 "$chap_file: its first line is not USER PASSWORD"
	[ -z "$user_mutual" ] || [ -n "$password_mutual" ] ||
		die 7 "$chap_file: its second line is not USER PASSWORD"
}

# A target that is there keeps its rules, unless this is about initiators that may log in by name.
check_access() {
	[ $new = no ] && [ "$(cat "$tpg/attrib/generate_node_acls")" = 1 ] && [ -n "$acls" ] &&
		die 4 "$iqn: any initiator may log in; --acl would shut out those that have (detach \
what it exports first)"
	[ $new = no ] && [ -n "$chap_file" ] && [ -z "$acls" ] &&
		die 4 "$iqn: is there; --chap-file goes with --acl, or with a new target"
	return 0
}

lun_of() {
	for link in "$tpg"/lun/lun_*/*; do
		[ -L "$link" ] && leads_to "$link" "$1" && dirname "$link" && return
	done
	return 1
}

free_lun() {
	n=0
	while [ -d "$tpg/lun/lun_$n" ]; do
		n=$((n + 1))
	done
	echo "$tpg/lun/lun_$n"
}

set_access() {
	if [ $new = yes ]; then
		open=1
		[ -z "$acls" ] || open=0
		set_value $open "$tpg/attrib/generate_node_acls"
		set_value $open "$tpg/attrib/cache_dynamic_acls"
		set_value 0 "$tpg/attrib/demo_mode_write_protect"
		if [ -n "$chap_file" ]; then
			set_value 1 "$tpg/attrib/authentication"
			[ -n "$acls" ] || set_secrets "$tpg/auth"
		else
			set_value 0 "$tpg/attrib/authentication"
		fi
	elif [ -n "$chap_file" ]; then
		change_value 1 "$tpg/attrib/authentication"
	fi
	for acl in $acls; do
		make_folder "$tpg/acls/$acl"
		[ -z "$chap_file" ] || set_secrets "$tpg/acls/$acl/auth"
	done
	# Whoever may log in by name sees all LUNs.
	for acl in "$tpg"/acls/*; do
		[ -d "$acl" ] || continue
		make_folder "$acl/${lun##*/}"
		link_to "$lun" "$acl/${lun##*/}/lun"
	done
}

# set_secrets FOLDER
set_secrets() {
	set_value "$user" "$1/userid"
	put "$password" "$1/password" 2>/dev/null || die 1 "$1/password: is not taken"
	[ -n "$user_mutual" ] || return 0
	set_value "$user_mutual" "$1/userid_mutual"
	put "$password_mutual" "$1/password_mutual" 2>/dev/null ||
		die 1 "$1/password_mutual: is not taken"
}

portals_of() {
	list=''
	for portal in "$1"/np/*; do
		[ ! -d "$portal" ] || list="$list${list:+ }${portal##*/}"
	done
	echo "$list"
}

# access_of TPG: for people
access_of() {
	if [ "$(cat "$1/attrib/generate_node_acls")" = 1 ]; then
		text='any initiator'
	else
		text='named initiators'
	fi
	[ "$(cat "$1/attrib/authentication")" = 0 ] || text="$text with CHAP"
	echo "$text"
}

# sessions_of TPG: initiators that are logged in, one a line
sessions_of() {
	cat "$1/dynamic_sessions" 2>/dev/null | tr '\0' '\n' | sed '/^$/d'
	for acl in "$1"/acls/*; do
		[ -f "$acl/info" ] || continue
		grep -q '^No active' "$acl/info" || echo "${acl##*/}"
	done
}

remove_iscsi() { # LUN, its link removed
	tpg=${1%/lun/*}
	for acl in "$tpg"/acls/*; do
		remove_folder "$acl/${1##*/}"
	done
	remove_folder "$1"
	for lun in "$tpg"/lun/lun_*; do
		[ -d "$lun" ] && return
	done
	set_value 0 "$tpg/enable"
	for folder in "$tpg"/acls/* "$tpg"/np/*; do
		remove_folder "$folder"
	done
	remove_folder "$tpg"
	remove_folder "${tpg%/*}"
}
