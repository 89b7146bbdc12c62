# Runs the checks, one after the other, each in a session of its own: $checks/NUMBER/script, for at most the seconds of
# $checks/NUMBER/limit. Its output goes to the console, each line behind "| ", or "+ " for one that goes on; lines of the kernel
# that come between have no tag. The kernel's log, small as it may be, gets a check's beginning and end only.
checks=/etc/kcatch/checks
work=/tmp
console=65536 # bytes of a check that go to the console as they come; of the rest, as many at the end
grace=3       # s for an end to be looked for in what the console does not get, when what a check left running holds its output
beat=15       # s after which a check that says nothing is known to run

marker=$(cat /etc/kcatch/marker)

# as rc has it
say() {
	printf '\n%s\n' "$1" 2>/dev/null
	[ -c /dev/kmsg ] && printf '<5>%s\n' "$1" 2>/dev/null >/dev/kmsg
}

# uptime: into $now, "-" without /proc
uptime() { { read now rest </proc/uptime; } 2>/dev/null || now=-; }

# lines: standard input with tags, $left bytes at most, to the line $end, which follows a newline that is no part of the output. The
# shell reads it byte by byte, so that nothing waits in a buffer when the kernel dies, and a line without end costs no memory.
lines() {
	empty=0
	while [ $left -gt 0 ] && { IFS= read -r -n 1000 line || [ -n "$line" ]; }; do
		[ "$line" = "$end" ] && exit
		left=$((left - ${#line} - 1))
		if [ "$tag$line" = '|' ]; then # it may be the newline before $end
			[ $empty -gt 0 ] && printf '| \n'
			empty=1
			continue
		fi
		[ $empty -gt 0 ] && printf '| \n'
		empty=0
		printf '%s %s\n' "$tag" "$line"
		tag='|'
		[ ${#line} -ge 1000 ] && tag=+
	done
	[ $empty -gt 0 ] && printf '| \n'
}

case $1 in
show) # END
	end=$2
	left=$console
	tag='|'
	lines
	: >$work/swallows
	renice -n 20 -p $$ >/dev/null 2>&1 # an output without end is not to have the CPU
	tail -c $console >$work/end
	rm -f $work/swallows
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
reap) # GROUP
	seen=0
	while [ $seen -lt $grace ]; do
		sleep 1
		if [ -e $work/swallows ]; then seen=$((seen + 1)); else seen=0; fi
	done
	kill -KILL -$2
	exit
	;;
esac

for check in $checks/*; do
	number=${check##*/}
	rm -f $work/out $work/late $work/swallows
	end="kcatch: end of check $number $marker"
	mkfifo $work/out
	uptime
	say "kcatch: check $number begins at $now $marker"
	setsid sh "$0" show "$end" <$work/out &
	reader=$!
	# What a check writes is to be on the console before the check goes on, and maybe kills the kernel: the reader runs first.
	renice -n -20 -p $reader >/dev/null 2>&1
	exec 3>$work/out
	setsid sh $check/script </dev/null >&3 2>&1 3>&- &
	group=$!
	setsid sh "$0" guard $(cat $check/limit) $group $number 3>&- &
	guard=$!
	wait $group 2>/dev/null # or it says "Killed"
	status=$?
	kill -KILL -$guard $guard 2>/dev/null # the second for one that has no session yet
	# What the check left running may hold its output open: it has an end all the same. A reader that is gone is no end of ours.
	(printf '\n%s\n' "$end" >&3)
	exec 3>&-
	setsid sh "$0" reap $reader >/dev/null 2>&1 &
	reaper=$!
	wait $reader 2>/dev/null
	[ -e $work/swallows ] && printf '!\n'
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
