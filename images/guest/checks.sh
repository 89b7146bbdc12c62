# Runs the checks, one after the other, each in a session of its own: $checks/NUMBER/script, for at most the seconds of
# $checks/NUMBER/limit. Its output goes to the console, each line behind "| ", or "+ " for one that goes on; lines of the kernel
# that come between have no tag. The kernel's log, small as it may be, gets a check's beginning and end only.
checks=/etc/kcatch/checks
work=/tmp
console=65536 # bytes of a check that go to the console as they come; of the rest, as many at the end
grace=2       # s that output may go on after its check, held by what it left running
beat=15       # s after which a check that says nothing is known to run

marker=$(cat /etc/kcatch/marker)

# as rc has it
say() {
	printf '\n%s\n' "$1" 2>/dev/null
	[ -c /dev/kmsg ] && printf '<5>%s\n' "$1" 2>/dev/null >/dev/kmsg
}

# uptime: into $now, "-" without /proc
uptime() { { read now rest </proc/uptime; } 2>/dev/null || now=-; }

# lines: standard input with tags, $left bytes at most. The shell reads it byte by byte, so that nothing waits in a buffer when
# the kernel dies, and a line without end costs no memory.
lines() {
	while [ $left -gt 0 ] && { IFS= read -r -n 1000 line || [ -n "$line" ]; }; do
		printf '%s %s\n' "$tag" "$line"
		tag='|'
		[ ${#line} -ge 1000 ] && tag=+
		left=$((left - ${#line} - 1))
	done
}

case $1 in
show)
	left=$console
	tag='|'
	lines
	[ $left -gt 0 ] && exit
	renice -n 20 -p $$ >/dev/null 2>&1 # an output without end is not to have the CPU
	tail -c $console >$work/end
	left=$(wc -c <$work/end)
	[ $left -ge $console ] && printf '!\n' # something is left out
	left=$((2 * console))
	lines <$work/end
	exit
	;;
guard) # SECONDS GROUP NUMBER
	left=$2
	while [ $left -gt 0 ]; do
		nap=$left
		[ $nap -gt $beat ] && nap=$beat
		sleep $nap
		left=$((left - nap))
		[ $left -le 0 ] || { printf '<7>kcatch: check %s runs\n' $4 >/dev/kmsg; } 2>/dev/null || printf '\nkcatch: check %s runs\n' $4
	done
	: >$work/late
	kill -KILL -$3
	exit
	;;
reap) # SECONDS GROUP
	sleep $2
	kill -KILL -$3
	exit
	;;
esac

for check in $checks/*; do
	number=${check##*/}
	rm -f $work/out $work/late
	mkfifo $work/out
	uptime
	say "kcatch: check $number begins at $now $marker"
	setsid sh "$0" show <$work/out &
	reader=$!
	# What a check writes is to be on the console before the check goes on, and maybe kills the kernel: the reader runs first.
	renice -n -20 -p $reader >/dev/null 2>&1
	setsid sh $check/script </dev/null >$work/out 2>&1 &
	group=$!
	setsid sh "$0" guard $(cat $check/limit) $group $number &
	guard=$!
	wait $group 2>/dev/null # or it says "Killed"
	status=$?
	kill -KILL -$guard $guard 2>/dev/null # the second for one that has no session yet
	setsid sh "$0" reap $grace $reader >/dev/null 2>&1 &
	reaper=$!
	wait $reader 2>/dev/null
	kill -KILL -$reaper $reaper 2>/dev/null
	uptime
	if [ -e $work/late ]; then
		say "kcatch: check $number stopped at $now $marker"
	else
		say "kcatch: check $number exited $status at $now $marker"
	fi
done
say "kcatch: checks ended $marker"
exit 0
