# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # see db-common.sh
# A server that runs as a process of this machine, its programs taken from the machine's packages
# (S[root] empty) or from a Debian root (S[root] names it). Data folder, settings, start, stop.
#
#   $home/data   the cluster, 0700, its owner the postgres user of wherever the programs are
#   $home/s      unix socket and pid file
#   $home/log    the server's log
#
# A server from a root gets a mount namespace of its own: nothing is ever mounted on the machine
# itself, and all mounts go when the server's last process goes.

# Runs a command where the server's programs are, as the user that owns the data.
server_run() {
    if [[ -n ${S[root]:-} ]]; then
        as_root unshare --mount --propagation private -- \
            bash -c "$ENTER_ROOT" enter-root "${S[root]}" "${S[home]}" "$@"
    elif ((EUID == 0)); then
        (cd / && setpriv --reuid=postgres --regid=postgres --init-groups \
            env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 "$@")
    else
        (cd / && env -i PATH="$PATH" LANG=C.UTF-8 "$@")
    fi
}

# The data folder has the same path inside and outside, so that every path in the state holds for both.
# shellcheck disable=SC2016
ENTER_ROOT='
set -eu
root=$1 home=$2
shift 2
mount --rbind /dev "$root/dev"
mount --rbind /proc "$root/proc"
case $home in
    /dev/*) ;;
    *) mkdir -p "$root$home" && mount --bind "$home" "$root$home" ;;
esac
exec chroot "$root" setpriv --reuid=postgres --regid=postgres --init-groups \
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 "$@"
'

# Runs a command that looks after the server's files or processes. A server from packages is the
# caller's own where the caller is not root; any other belongs to a postgres user.
as_keeper() {
    if [[ -n ${S[root]:-} ]]; then as_root "$@"; else "$@"; fi
}

# Numeric user and group of the server's files.
server_owner() {
    if [[ -n ${S[root]:-} ]]; then
        awk -F: '$1 == "postgres" { print $3 ":" $4 }' "${S[root]}/etc/passwd"
    elif ((EUID == 0)); then
        echo "$(id -u postgres):$(id -g postgres)"
    else
        echo "$(id -u):$(id -g)"
    fi
}

# The pid file is world-readable and may be stale, so the process must also look like ours.
server_pid() {
    local pid
    [[ -r ${S[home]:-/nonexistent}/s/pid ]] || return 1
    read -r pid <"${S[home]}/s/pid" || return 1
    [[ $pid =~ ^[0-9]+$ && -r /proc/$pid/cmdline ]] || return 1
    tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | grep -qxF -- "${S[home]}/data" || return 1
    echo "$pid"
}

server_running() {
    server_pid >/dev/null
}

server_up() {
    local role=$1 began=$SECONDS
    if server_running && port_answers "${S[port]}"; then
        say "already up on port ${S[port]}"
        return
    fi
    if [[ ${S[from]} == root ]]; then
        with_lock "$LOCK_DIR/root" root_ensure
    else
        with_lock "$LOCK_DIR/apt" packages_ensure "$role"
    fi
    server_paths "$role"
    if [[ ! -d ${S[home]} ]] || ! as_keeper test -f "${S[home]}/data/hyperhaul.conf"; then
        server_create "$role"
    fi
    for _ in 1 2 3 4 5; do
        with_lock "$LOCK_DIR/ports" server_take_port "$role"
        if server_start "$role"; then
            say "up on port ${S[port]} after $((SECONDS - began)) s"
            return
        fi
        # Somebody else may have taken the port between our look and the server's.
        tail -n 5 "${S[log]}" | grep -q 'could not create any TCP/IP sockets' || break
        S[port]=
    done
    tail -n 20 "${S[log]}" >&2 || true
    die 1 "the server did not start; its log is ${S[log]}"
}

# Where the data live: decided once. The postgres user must be able to reach them, and root's home
# is closed to it; then root's own cache folder has to do.
server_paths() {
    local role=$1 base
    [[ -z ${S[home]:-} ]] || return 0
    if [[ ${S[ram]} == 1 ]]; then
        base=/dev/shm/hyperhaul-$CACHE_ID
    else
        base=$CACHE/data
        mkdir -p "$base"
        if ((EUID == 0)) && ! setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$base" 2>/dev/null; then
            rmdir "$base"
            base=/var/cache/hyperhaul-$CACHE_ID
        fi
    fi
    S[home]=$base/$INSTANCE/$role
    S[log]=${S[home]}/log
    S[socket]=${S[home]}/s
    # sun_path holds 107 bytes, and the file's own name takes 16 of them.
    ((${#S[socket]} <= 90)) || S[socket]=
}

server_create() {
    local role=$1 owner password_file began=$SECONDS
    owner=$(server_owner)
    [[ -n $owner ]] || die 1 "there is no user 'postgres' to run the server as"
    say "making a new cluster in ${S[home]}"
    as_keeper rm -rf --one-file-system "${S[home]}"
    mkdir -p "${S[home]%/*}"
    mkdir "${S[home]}" "${S[home]}/s"
    S[password]=$(new_password)
    password_file=${S[home]}/password
    (umask 077 && printf '%s\n' "${S[password]}" >"$password_file")
    if ((EUID == 0)) || [[ -n ${S[root]:-} ]]; then as_root chown -R "$owner" "${S[home]}"; fi
    server_run "${S[bin]}/initdb" -D "${S[home]}/data" -U postgres -A scram-sha-256 --pwfile="$password_file" \
        --encoding=UTF8 --locale=C.UTF-8 --no-sync >"$INSTANCE_DIR/$role.initdb.log" 2>&1 </dev/null || {
        cat "$INSTANCE_DIR/$role.initdb.log" >&2
        die 1 "initdb failed"
    }
    as_keeper rm -f "$password_file"
    as_keeper tee -a "${S[home]}/data/postgresql.conf" <<<"include 'hyperhaul.conf'" >/dev/null
    server_settings "$role" | as_keeper tee "${S[home]}/data/hyperhaul.conf" >/dev/null
    say "cluster made in $((SECONDS - began)) s"
}

server_settings() {
    cat <<CONF
# Written by scripts/db. The port is given on the command line.
listen_addresses = '127.0.0.1'
unix_socket_directories = '${S[socket]}'
external_pid_file = '${S[home]}/s/pid'
max_connections = 200
max_worker_processes = 32
max_locks_per_transaction = 256
max_prepared_transactions = 10
shared_buffers = 256MB
max_wal_size = 4GB
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %q%u@%d %a '
fsync = $([[ ${S[durable]} == 1 ]] && echo on || echo off)
CONF
    if [[ $1 == target ]]; then
        cat <<'CONF'
shared_preload_libraries = 'timescaledb'
timescaledb.telemetry_level = off
CONF
    fi
}

# Under the lock `ports`: remembers the port before anybody else looks for one.
server_take_port() {
    if [[ -z ${S[port]:-} ]]; then
        S[port]=$(free_port)
    elif port_answers "${S[port]}"; then
        say "port ${S[port]} is taken by another program, choosing a new one"
        S[port]=$(free_port)
    fi
    state_save "$1"
}

server_start() {
    detached server_run "${S[bin]}/pg_ctl" start -w -t 120 -D "${S[home]}/data" -l "${S[log]}" \
        -o "-p ${S[port]}" >"$INSTANCE_DIR/$1.start.log" 2>&1
}

# server_stop ROLE SIGNAL: INT is a fast shutdown, QUIT an immediate one (no checkpoint).
server_stop() {
    local role=$1 signal=$2 pid waited=0
    if ! pid=$(server_pid); then
        server_unmount_disks
        return 0
    fi
    as_keeper kill -s "$signal" "$pid"
    while server_pid >/dev/null; do
        sleep 0.05
        waited=$((waited + 1))
        if ((waited == 1200)); then
            say "still stopping after 60 s, now at once"
            as_keeper kill -s QUIT "$pid"
        fi
        ((waited < 1800)) || die 1 "process $pid does not stop; its log is ${S[log]}"
    done
    server_unmount_disks
    say "stopped"
}

# server_kill [PID]: a backend, which the server recovers from by itself; else the first process.
server_kill() {
    local main pid children=() waited=0
    main=$(server_pid) || die 1 "the server is not running"
    mapfile -t children < <(ps -o pid= --ppid "$main" | tr -d ' ')
    if [[ -n $1 ]]; then
        [[ " ${children[*]} " == *" $1 "* ]] || die 1 "process $1 is no backend of this server"
        as_keeper kill -s KILL "$1"
        return
    fi
    as_keeper kill -s KILL "$main"
    # Backends notice by themselves; until then the next start would find their shared memory in use.
    for pid in "$main" "${children[@]}"; do
        # One that nobody has waited for yet has no command line any more.
        while [[ -n $(tr -d '\0' 2>/dev/null <"/proc/$pid/cmdline") ]] 2>/dev/null; do
            sleep 0.02
            waited=$((waited + 1))
            ((waited < 1500)) || die 1 "process $pid outlives the server"
        done
    done
    # While nobody has waited for it, the next start would take it for alive.
    as_keeper rm -f "${S[home]}/data/postmaster.pid" "${S[home]}"/s/.s.PGSQL.*.lock
    server_unmount_disks
}

server_remove() {
    [[ -n ${S[home]:-} ]] || return 0
    as_keeper rm -rf --one-file-system "${S[home]}"
    rmdir -p --ignore-fail-on-non-empty "${S[home]%/*}" 2>/dev/null || true
    rm -f "$INSTANCE_DIR/$1".*.log
    say "data removed"
}

# ---------------------------------------------------------------- small disks

server_disk() {
    local name=$1 bytes=$2 pid owner mount_point=${S[home]}/disk-$1
    pid=$(server_pid) || die 1 "the server is not running"
    owner=$(server_owner)
    local options="size=$bytes,mode=0700,uid=${owner%:*},gid=${owner#*:}"
    # shellcheck disable=SC2016
    local mount_it='mkdir -p "$1" && mount -t tmpfs -o "$2" hyperhaul-disk "$1"'
    if [[ -n ${S[root]:-} ]]; then
        # In the server's own namespace, where its root is a folder like any other.
        as_root nsenter --mount --target "$pid" bash -c "$mount_it" - "${S[root]}$mount_point" "$options" ||
            die 3 "the RAM disk could not be mounted"
        printf '%s\t%s\n' "$mount_point" "/proc/$pid/root$mount_point"
    else
        as_root bash -c "$mount_it" - "$mount_point" "$options" || die 3 "the RAM disk could not be mounted"
        printf '%s\t%s\n' "$mount_point" "$mount_point"
    fi
    say "disk $name of $bytes bytes at $mount_point"
}

server_undisk() {
    local pid mount_point=${S[home]}/disk-$1
    if [[ -z ${S[root]:-} ]]; then
        as_root umount "$mount_point"
    elif pid=$(server_pid); then
        as_root nsenter --mount --target "$pid" umount "${S[root]}$mount_point"
    fi
    as_keeper rmdir "$mount_point"
}

# Disks in a namespace are gone with the server; those on the machine itself are not.
server_unmount_disks() {
    local mount_point
    for mount_point in "${S[home]:-/nonexistent}"/disk-*; do
        [[ -d $mount_point ]] || continue
        ! mountpoint -q "$mount_point" || as_root umount "$mount_point"
        as_keeper rmdir "$mount_point"
    done
}
