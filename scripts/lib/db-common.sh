# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # the parts of scripts/db share these, and keys of S look like variables
# What every part of scripts/db shares: messages, locks, folders, the state file of a server.
# Knows nothing about how a server is made or run.

ROLE=
# One server's state, as in its file: from, home, bin, root, port, password, socket, log, ram, durable.
declare -A S=()

# Messages go to stderr, with the seconds since this command began: stdout is for what was asked.
say() {
    printf '[%3d s] %s%s\n' "$SECONDS" "${ROLE:+$ROLE: }" "$*" >&2
}

die() {
    local code=$1
    shift
    printf 'scripts/db: %s%s\n' "${ROLE:+$ROLE: }" "$*" >&2
    exit "$code"
}

have() {
    command -v "$1" >/dev/null 2>&1
}

as_root() {
    if ((EUID == 0)); then
        "$@"
    elif have sudo; then
        sudo -n "$@"
    else
        die 1 "this needs root, and there is no sudo: $1"
    fi
}

# with_lock FILE COMMAND...: one process at a time. Servers must not inherit the descriptor, or they
# would hold the lock for as long as they run: see `detached`.
LOCK_FDS=()
with_lock() {
    local file=$1 fd
    shift
    exec {fd}>>"$file"
    if ! flock -w 1 "$fd"; then
        say "waiting for another scripts/db that holds ${file##*/}"
        flock "$fd"
    fi
    LOCK_FDS+=("$fd")
    "$@"
    exec {fd}>&-
}

# Runs a command that leaves a server behind: without our locks, input and output.
detached() {
    (
        local fd
        for fd in "${LOCK_FDS[@]}"; do exec {fd}>&-; done
        "$@" </dev/null
    )
}

prepare_folders() {
    CACHE=${HYPERHAUL_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/hyperhaul}
    [[ $CACHE == /* ]] || CACHE=$PWD/$CACHE
    # Names what belongs to this cache folder in places that several of them share.
    CACHE_ID=$(printf '%s' "$CACHE" | cksum | cut -d' ' -f1)
    INSTANCE_DIR=$CACHE/instances/$INSTANCE
    # Locks outlive `destroy`: whoever waits for one must wait for the same file as the next one.
    LOCK_DIR=$CACHE/locks
    mkdir -p "$LOCK_DIR"
}

# ---------------------------------------------------------------- state

state_file() {
    echo "$INSTANCE_DIR/$1.state"
}

# Fills S; fails where this server was never made.
state_load() {
    local key value
    S=()
    [[ -r $INSTANCE_DIR/$1.state ]] || return 1
    while IFS='=' read -r key value; do S[$key]=$value; done <"$INSTANCE_DIR/$1.state"
}

# Written beside and renamed, so that a reader never sees half of it. It holds the password.
state_save() {
    local file=$INSTANCE_DIR/$1.state key
    (
        umask 077
        for key in "${!S[@]}"; do printf '%s=%s\n' "$key" "${S[$key]}"; done >"$file.new"
    )
    mv "$file.new" "$file"
}

require_state() {
    state_load "$1" || die 1 "instance $INSTANCE has no $1 server yet: run 'scripts/db --instance $INSTANCE up $1'"
}

require_ours() {
    [[ -z $(external_url "$1") ]] || die 3 "the $1 server is named by the environment and is not ours: $2"
    require_state "$1"
}

external_url() {
    case $1 in
        target) echo "${HYPERHAUL_TEST_URL:-}" ;;
        source) echo "${HYPERHAUL_TEST_SOURCE_URL:-}" ;;
    esac
}

check_external() {
    local url=$1 answer
    have psql || { say "named by the environment, used as it is"; return; }
    answer=$(PGCONNECT_TIMEOUT=10 psql -XAtc 'select 1' "$url" 2>&1) ||
        die 1 "the server that the environment names does not answer: ${answer//$'\n'/ }"
    say "named by the environment, it answers"
}

# ---------------------------------------------------------------- ports and passwords

new_password() {
    od -An -N16 -tx1 /dev/urandom | tr -d ' \n'
}

port_answers() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Prints a port that nobody listens on and no other instance remembers. Below the range that the
# kernel hands to outgoing connections, so that it is still ours after a crash. Call under the lock `ports`.
free_port() {
    local port taken
    taken=$(sed -n 's/^port=//p' "$CACHE"/instances/*/*.state 2>/dev/null || true)
    for port in $(seq 15432 16431); do
        grep -qx "$port" <<<"$taken" && continue
        port_answers "$port" && continue
        echo "$port"
        return
    done
    die 1 "no free port between 15432 and 16431"
}
