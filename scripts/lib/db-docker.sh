# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # see db-common.sh
# Servers in containers, where a Docker daemon answers. Named and labelled by cache folder, instance and
# role; no other container is ever touched.

docker_name() {
    echo "hyperhaul-$CACHE_ID-$INSTANCE-$1"
}

docker_available() {
    have docker && timeout 10 docker info >/dev/null 2>&1
}

docker_image() {
    if [[ $1 == target ]]; then
        echo "${HYPERHAUL_DOCKER_IMAGE:-timescale/timescaledb-ha:pg17}"
    else
        echo "${HYPERHAUL_DOCKER_SOURCE_IMAGE:-postgis/postgis:15-3.5}"
    fi
}

docker_running() {
    [[ $(docker inspect --format '{{.State.Running}}' "$(docker_name "$1")" 2>/dev/null) == true ]]
}

docker_exists() {
    docker inspect "$(docker_name "$1")" >/dev/null 2>&1
}

docker_up() {
    local role=$1 began=$SECONDS
    docker_available || die 1 "no Docker daemon answers, and this server needs one"
    if docker_running "$role" && docker_answers "$role"; then
        say "already up on port ${S[port]}"
        return
    fi
    if docker_exists "$role"; then
        docker start "$(docker_name "$role")" >/dev/null
    else
        docker_create "$role"
    fi
    docker_wait "$role"
    docker_partman_ensure "$role"
    say "up on port ${S[port]} after $((SECONDS - began)) s"
}

docker_create() {
    local role=$1 image
    image=$(docker_image "$role")
    if ! docker image inspect "$image" >/dev/null 2>&1; then
        say "pulling $image"
        docker pull --quiet "$image" >/dev/null || die 1 "the image $image could not be pulled"
    fi
    S[password]=$(new_password)
    S[socket]=
    S[log]=
    with_lock "$LOCK_DIR/ports" docker_run "$role" "$image"
}

# Under the lock `ports`: remembers the port before anybody else looks for one.
docker_run() {
    local role=$1 image=$2 name storage setting settings=(-c 'listen_addresses=*')
    name=$(docker_name "$role")
    S[port]=$(free_port)
    state_save "$role"
    for setting in max_connections=200 max_worker_processes=32 max_locks_per_transaction=256 \
        max_prepared_transactions=10 shared_buffers=256MB max_wal_size=4GB timezone=UTC log_timezone=UTC; do
        settings+=(-c "$setting")
    done
    [[ ${S[durable]} == 1 ]] || settings+=(-c fsync=off)
    if [[ $role == target ]]; then
        settings+=(-c shared_preload_libraries=timescaledb -c timescaledb.telemetry_level=off)
    fi
    # A volume in either case: a tmpfs of the container's own would lose the data at every crash and start.
    storage=$name
    [[ ${S[ram]} == 0 ]] || storage=/dev/shm/$name
    docker run --rm --user root --entrypoint chown --volume "$storage:/data" "$image" postgres /data ||
        die 1 "the container's data folder could not be made"
    # Through a file, so that the password is in no process list.
    (umask 077 && printf 'POSTGRES_PASSWORD=%s\nPGDATA=/data/pg\n' "${S[password]}" >"$INSTANCE_DIR/$role.env")
    docker run --detach --name "$name" --label "hyperhaul.instance=$INSTANCE" \
        --shm-size 1g --publish "127.0.0.1:${S[port]}:5432" --env-file "$INSTANCE_DIR/$role.env" \
        --env POSTGRES_INITDB_ARGS='--encoding=UTF8 --locale=C.UTF-8 --auth=scram-sha-256' \
        --volume "$storage:/data" "$image" postgres "${settings[@]}" >/dev/null ||
        die 1 "the container did not start"
    rm -f "$INSTANCE_DIR/$role.env"
}

# The image's first start runs a passing server on its socket alone: only TCP tells that it is the real one.
docker_answers() {
    docker exec "$(docker_name "$1")" pg_isready -q -h 127.0.0.1 -p 5432 2>/dev/null
}

docker_wait() {
    local waited=0
    until docker_answers "$1"; do
        sleep 0.5
        waited=$((waited + 1))
        if ((waited > 240)) || ! docker_running "$1"; then
            docker logs --tail 20 "$(docker_name "$1")" >&2
            die 1 "the container $(docker_name "$1") does not answer"
        fi
    done
}

# The images have PostGIS but no pg_partman; their apt knows PostgreSQL's own archive.
docker_partman_ensure() {
    local role=$1 name major
    name=$(docker_name "$role")
    major=$(docker exec "$name" postgres --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
    ! docker exec "$name" test -f "/usr/share/postgresql/$major/extension/pg_partman.control" || return 0
    say "adding pg_partman to the container"
    docker exec --user root "$name" sh -c \
        "apt-get -qq update && apt-get -qq install -y --no-install-recommends postgresql-$major-partman" \
        >"$INSTANCE_DIR/$role.partman.log" 2>&1 || {
        tail -n 10 "$INSTANCE_DIR/$role.partman.log" >&2
        die 1 "pg_partman could not be added to the container; HYPERHAUL_DOCKER_IMAGE names another image, HYPERHAUL_SERVER_FROM=root goes without Docker"
    }
}

docker_stop() {
    docker_running "$1" || return 0
    docker stop --signal INT --time 60 "$(docker_name "$1")" >/dev/null 2>&1 ||
        docker stop "$(docker_name "$1")" >/dev/null
    say "stopped"
}

docker_crash() {
    docker_running "$1" || return 0
    docker kill --signal QUIT "$(docker_name "$1")" >/dev/null
    docker wait "$(docker_name "$1")" >/dev/null
    say "stopped"
}

docker_kill() {
    docker_running "$1" || die 1 "the server is not running"
    if [[ -n ${2:-} ]]; then
        docker exec "$(docker_name "$1")" kill -s KILL "$2"
        return
    fi
    docker kill --signal KILL "$(docker_name "$1")" >/dev/null
    docker wait "$(docker_name "$1")" >/dev/null
}

docker_remove() {
    local name
    name=$(docker_name "$1")
    docker rm --force --volumes "$name" >/dev/null 2>&1 || true
    docker volume rm --force "$name" >/dev/null 2>&1 || true
    [[ ${S[ram]:-0} == 0 ]] || as_root rm -rf --one-file-system "/dev/shm/$name"
    say "container removed"
}
