#!/bin/sh
# What filters cost that have nothing to do: memory of the engine, and CPU time with a ticker of 60 s.
# usage: idle_filters.sh HEKA [FILTERS] [SECONDS]
# A release build on two busy cores: 1000 idle filters: 239 MiB, 0.50 % CPU over 125 s
heka=${1:?the program}
filters=${2:-1000}
seconds=${3:-60}
folder=$(mktemp -d)
trap 'kill "$engine" 2>/dev/null; wait "$engine" 2>/dev/null; rm -rf "$folder"' EXIT
cat >"$folder/count.lua" <<'LUA'
local n = 0
function process_message(msg) n = n + 1 return 0 end
function timer_event(ns) inject_payload("txt", "count", n) end
LUA
{
  printf '[hekad]\nbase_dir = "%s/state"\n[hekad.admin]\naddress = "127.0.0.1:0"\n' "$folder"
  printf '[udp]\ntype = "UdpInput"\naddress = "127.0.0.1:0"\n'
  for number in $(seq "$filters"); do
    printf '[f%d]\ntype = "SandboxFilter"\nmessage_matcher = "Type == '"'"'t%d'"'"'"\nfilename = "%s/count.lua"\nticker_interval = 60\n' "$number" "$number" "$folder"
  done
} >"$folder/heka.toml"
"$heka" run "$folder/heka.toml" >/dev/null 2>"$folder/log" &
engine=$!
sleep 20
ticks() { awk '{ print $14 + $15 }' "/proc/$engine/stat"; }
before=$(ticks)
sleep "$seconds"
after=$(ticks)
per_second=$(getconf CLK_TCK)
awk -v used="$((after - before))" -v hz="$per_second" -v seconds="$seconds" -v filters="$filters" \
  '{ if ($1 == "VmRSS:") printf "%d idle filters: %d MiB, %.2f %% CPU over %d s\n", filters, $2 / 1024, 100 * used / hz / seconds, seconds }' \
  "/proc/$engine/status"
