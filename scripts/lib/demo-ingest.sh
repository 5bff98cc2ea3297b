# shellcheck shell=bash
# scripts/demo ingest: live rows from three kinds of senders, while what carries them is killed again and again; then the proof that
# every record that was acknowledged has one end. Sourced by scripts/demo, which has announce, show, hyperhaul and the server.

BODY_READINGS=500
# A body every so many seconds, besides what curl takes: some 10,000 readings a second.
BODY_PAUSE=0.03
APRS_PACKETS_PER_SECOND=500
# Every so many readings by HTTP one is malformed.
MALFORMED_EVERY=1000

# shellcheck disable=SC2154
demo_ingest() {
    local seconds=$1
    # shellcheck disable=SC2034
    PHASES=6
    folder=$(mktemp -d "${TMPDIR:-/tmp}/hyperhaul-demo-XXXXXX")
    pids=()
    trap stop_all EXIT

    prepare_program
    need curl curl

    announce "Hypertables in a fresh database $DATABASE, senders' readings in files"
    fresh_database
    psql -X -q -v ON_ERROR_STOP=1 "$HYPERHAUL_TARGET" -f fixtures/ingest/tables.sql >/dev/null 2>"$folder/tables.log" ||
        { cat "$folder/tables.log" >&2; return 1; }
    make_readings "$seconds"
    declare_streams
    sed 's/^/  /' "$folder/ingest.toml"

    announce "Live rows for $seconds s: by HTTP, from a file that grows, from an APRS-IS server; with kills"
    local begun=$SECONDS
    start "$binary" workload aprs-feed --listen "127.0.0.1:$aprs_port" --rate "$APRS_PACKETS_PER_SECOND" \
        --keepalive 5 --seed 7 </dev/null >"$folder/feed.log" 2>&1
    start_ingest
    start send_bodies
    start append_lines
    run_into_trouble "$begun" "$seconds"

    announce 'Senders stop; ingest writes what it has taken, and ends'
    touch "$folder/stop"
    wait "${pids[1]}" "${pids[2]}"
    echo "$(cat "$folder/acknowledged") readings were acknowledged by HTTP, $(wc -l <"$folder/growing.ndjson") stand in the file."
    end_ingest

    announce 'The proof, from the ledger and from the tables'
    show hyperhaul receipts
    show hyperhaul dlq list | sed -n '1,6p'
    prove
}

# A program in the background that ends with the demo.
start() {
    "$@" &
    pids+=($!)
}

stop_all() {
    touch "$folder/stop"
    ((${ingest_pid:-0} == 0)) || kill -9 "$ingest_pid" 2>/dev/null || true
    ((${#pids[@]} == 0)) || kill "${pids[@]}" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$folder"
}

free_port() {
    local port
    for ((port = $1; port < $1 + 200; port++)); do
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
    echo "scripts/demo: no port is free from $1 on" >&2
    return 1
}

# One file of readings for each body, and one whose lines are appended.
make_readings() {
    local count=$(($1 * 12000))
    mkdir "$folder/bodies" "$folder/lines"
    hyperhaul workload esp --wells 2000 --readings "$count" |
        awk -v every="$MALFORMED_EVERY" 'NR % every == 0 { sub(/"pip":/, "\"pip\":\"?\",\"p\":") } { print }' |
        split -a 5 -l "$BODY_READINGS" - "$folder/bodies/"
    hyperhaul workload esp --wells 2000 --readings $((count / 4)) --seed 2 |
        split -a 5 -l "$BODY_READINGS" - "$folder/lines/"
    : >"$folder/growing.ndjson"
    echo 0 >"$folder/acknowledged"
}

declare_streams() {
    http_port=$(free_port 18080)
    metrics_port=$(free_port 19187)
    aprs_port=$(free_port 14580)
    cat >"$folder/ingest.toml" <<TOML
[spool]
path = "$folder/spool"

[http]
listen = "127.0.0.1:$http_port"

[metrics]
listen = "127.0.0.1:$metrics_port"

[[stream]]
name = "pumps"
profile = "esp-telemetry"
table = "public.esp_telemetry"
source = { kind = "http" }

[[stream]]
name = "archive"
profile = "esp-telemetry"
table = "public.esp_archive"
source = { kind = "file", path = "$folder/growing.ndjson", follow = true }

[[stream]]
name = "ogn"
profile = "fixes"
source = { kind = "aprs", servers = ["127.0.0.1:$aprs_port"], call_sign = "N0CALL", pause_max = "1 s" }
TOML
}

# Until the demo says stop: each body is sent until it is acknowledged, since whoever has no answer sends again.
send_bodies() {
    local body acknowledged=0
    for body in "$folder"/bodies/*; do
        until [[ $(curl -s -o /dev/null -w '%{http_code}' --max-time 10 --data-binary "@$body" \
            "http://127.0.0.1:$http_port/v1/ingest/pumps") == 200 ]]; do
            sleep 0.2
        done
        acknowledged=$((acknowledged + $(wc -l <"$body")))
        echo "$acknowledged" >"$folder/acknowledged"
        [[ ! -e $folder/stop ]] || break
        sleep "$BODY_PAUSE"
    done
}

append_lines() {
    local lines
    for lines in "$folder"/lines/*; do
        cat "$lines" >>"$folder/growing.ndjson"
        [[ ! -e $folder/stop ]] || break
        sleep 0.2
    done
}

start_ingest() {
    "$binary" ingest --json --config "$folder/ingest.toml" >"$folder/done.json" 2>>"$folder/ingest.log" &
    ingest_pid=$!
}

kill_ingest() {
    kill -9 "$ingest_pid"
    wait "$ingest_pid" 2>/dev/null || true
    start_ingest
}

end_sessions() {
    psql -X -q -At "$HYPERHAUL_TARGET" >/dev/null \
        -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'hyperhaul ingest%'"
}

crash_server() {
    scripts/db crash target >/dev/null 2>&1 && sleep 2 && scripts/db start target >/dev/null 2>&1
}

# Five troubles, evenly over the time, each told before it comes; a server that is not ours is not crashed.
run_into_trouble() {
    local begun=$1 seconds=$2 number=0 trouble
    local troubles=(kill_ingest end_sessions crash_server kill_ingest kill_ingest)
    for trouble in "${troubles[@]}"; do
        number=$((number + 1))
        sleep_until $((begun + seconds * number / 6))
        case $trouble in
            kill_ingest) echo "-- $((SECONDS - begun)) s: SIGKILL for hyperhaul ingest, which is started again at once" ;;
            end_sessions) echo "-- $((SECONDS - begun)) s: the server ends all sessions of hyperhaul ingest" ;;
            crash_server)
                [[ -z ${HYPERHAUL_TEST_URL:-} ]] || continue
                echo "-- $((SECONDS - begun)) s: the server crashes, and is started again after 2 s"
                ;;
        esac
        "$trouble"
        sleep 2
        show hyperhaul ingest --config "$folder/ingest.toml" --status 2>&1 | sed -n '1,6p'
    done
    sleep_until $((begun + seconds))
}

sleep_until() {
    local left=$(($1 - SECONDS))
    ((left <= 0)) || sleep "$left"
}

# What is in the file by now is in the table soon: a file has nobody who waits for an answer.
end_ingest() {
    local lines waited
    lines=$(wc -l <"$folder/growing.ndjson")
    for ((waited = 0; waited < 100; waited++)); do
        (($(count 'count(*) FROM esp_archive') < lines)) || break
        sleep 0.2
    done
    kill -INT "$ingest_pid"
    wait "$ingest_pid" || { tail -n 5 "$folder/ingest.log" >&2; return 1; }
    ingest_pid=0
}

count() {
    psql -X -At "$HYPERHAUL_TARGET" -c "SELECT $1"
}

# Two numbers that have to be equal.
equal() {
    local what=$1 left=$2 right=$3
    if ((left == right)); then
        printf '  %-78s %12s = %-12s\n' "$what" "$left" "$right"
    else
        printf '  %-78s %12s and %-12s DIFFER\n' "$what" "$left" "$right"
        failed=1
    fi
}

# Acknowledged = stored + dead, each once; what came again because nobody was told is a duplicate.
prove() {
    local failed=0 of="coalesce(sum(%s), 0) FROM hyperhaul.ingest_receipt JOIN hyperhaul.ingest_source USING (source_id) WHERE ingest_source.stream = '%s'"
    local ends stream
    # shellcheck disable=SC2059
    sum() { count "$(printf "$of" "$1" "$2")"; }
    local rows dead
    rows=$(count 'count(*) FROM esp_telemetry')
    dead=$(count "count(DISTINCT payload) FROM hyperhaul.dead_letter WHERE stream = 'pumps'")
    echo
    equal 'HTTP: acknowledged; rows and dead letters, each counted once' "$(cat "$folder/acknowledged")" $((rows + dead))
    equal 'HTTP: stored, as the ledger has it; rows in the table' "$(sum stored_count pumps)" "$rows"
    equal 'file: lines; rows in the table' "$(wc -l <"$folder/growing.ndjson")" "$(count 'count(*) FROM esp_archive')"
    equal 'APRS: stored, as the ledger has it; raw messages' "$(sum stored_count ogn)" "$(count 'count(*) FROM raw_messages')"
    for stream in pumps archive ogn; do
        ends=$(sum 'stored_count + duplicate_count + conflict_count + dead_count' "$stream")
        equal "$stream: records in the ledger; stored + duplicate + conflict + dead" "$(sum record_count "$stream")" "$ends"
    done
    echo
    echo "  fixes: $(count 'count(*) FROM fixes'); times in which no packet could come, each with its reason: $(count 'count(*) FROM hyperhaul.ingest_gap')"
    ((failed == 0))
}
