# The workload "memory": every way that userspace has to make the kernel take, share, move and give back pages. It needs
# nothing of the kernel: a step that finds something missing says "not there" and is done. Each step is this script
# again with the step's name, in a session of its own, so that it can be ended with all that it started.
#
# A step answers by its exit status, 0, 77 (not there) or any other (failed), and the last line that it prints.
steps='tmpfs page-cache filesystem swap-on anon mapped fork-exec pipes sockets thp collapse hugetlb swap ksm compaction
migrate pressure hotplug swap-off drop-caches'
dir=/tmp/workload
helper=/etc/kcatch/helper
limit=30 # seconds for a step
hugepages=/proc/sys/vm/nr_hugepages
scale=/proc/sys/vm/watermark_scale_factor

absent() {
	echo "$1"
	exit 77
}

# knob FILE VALUE: sets what is there to be set.
knob() { [ -w "$1" ] && echo "$2" >"$1" 2>/dev/null; }

# exercise NAME [PATH]: a part of the helper's.
exercise() {
	[ -x $helper ] || absent 'the image has no helper program'
	exec $helper "$@"
}

# disk N: prints a block device of its own for each N, a RAM disk by brd or zram.
disk() {
	modprobe -q brd 2>/dev/null
	[ -b /dev/ram$1 ] || mdev -s 2>/dev/null
	if [ -b /dev/ram$1 ]; then
		echo /dev/ram$1
		return
	fi
	modprobe -q zram num_devices=2 2>/dev/null && mdev -s 2>/dev/null
	[ -b /dev/zram$1 ] || return 1
	echo 16M >/sys/block/zram$1/disksize && echo /dev/zram$1
}

# churn WHERE: files written, read, compared, cut, renamed and removed.
churn() {
	for i in 1 2 3 4; do
		dd if=/bin/busybox of=$1/$i bs=64k count=16 2>/dev/null || return
	done
	sync
	cmp $1/1 $1/4 || return
	knob /proc/sys/vm/drop_caches 3
	cmp $1/2 $1/3 || return
	truncate -s 12345 $1/1 && dd if=/bin/busybox of=$1/1 bs=4k seek=7 count=5 conv=notrunc 2>/dev/null || return
	mv $1/4 $1/5 && ln $1/5 $1/6 && cat $1/5 $1/6 >/dev/null && rm $1/[2-6] && cp $1/1 $1/2
}

step() {
	case $1 in
	tmpfs)
		mkdir -p $dir/tmpfs
		mount -t tmpfs -o size=64m,huge=advise tmpfs $dir/tmpfs 2>/dev/null || mount -t tmpfs -o size=64m tmpfs $dir/tmpfs 2>/dev/null ||
			absent 'no tmpfs'
		churn $dir/tmpfs
		;;
	page-cache)
		# ramfs is in every kernel, and its pages are the page cache's own; the root may be a tmpfs.
		mkdir -p $dir/files && mount -t ramfs ramfs $dir/files && churn $dir/files
		;;
	filesystem)
		grep -qw ext2 /proc/filesystems 2>/dev/null || modprobe -q ext2 2>/dev/null || grep -qw ext4 /proc/filesystems 2>/dev/null || absent 'no ext2'
		d=$(disk 1) || absent 'no RAM disk'
		mkdir -p $dir/ext2
		mke2fs $d >/dev/null && mount -t ext2 $d $dir/ext2 && churn $dir/ext2 && umount $dir/ext2
		;;
	swap-on)
		[ -f /proc/swaps ] || absent 'no swap in this kernel'
		d=$(disk 0) || absent 'no RAM disk to swap to'
		mkswap $d >/dev/null && swapon $d
		;;
	thp)
		# Below 512 MB the kernel does not use huge pages unless it is told to (hugepage_init, mm/huge_memory.c).
		knob /sys/kernel/mm/transparent_hugepage/enabled madvise
		exercise thp
		;;
	anon | sockets | compaction | migrate)
		exercise $1
		;;
	mapped | pipes)
		exercise $1 $dir/$1
		;;
	fork-exec)
		for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
			(cat /proc/self/maps 2>/dev/null || ls /) | (sort -r | tail -n 1) >/dev/null || return
		done
		;;
	collapse)
		grep -q " $dir/tmpfs " /proc/mounts 2>/dev/null || absent 'no tmpfs'
		exercise collapse $dir/tmpfs/huge
		;;
	hugetlb)
		[ -w $hugepages ] || absent 'no hugetlb in this kernel'
		knob $hugepages 4
		exercise hugetlb
		;;
	swap)
		[ "$(wc -l 2>/dev/null </proc/swaps)" -gt 1 ] 2>/dev/null || absent 'nothing to swap to'
		exercise pageout
		;;
	ksm)
		knob /sys/kernel/mm/ksm/pages_to_scan 2000 || absent 'no KSM in this kernel'
		knob /sys/kernel/mm/ksm/sleep_millisecs 5
		knob /sys/kernel/mm/ksm/run 1
		exercise ksm
		;;
	pressure)
		knob $scale 1000
		exercise pressure
		;;
	hotplug)
		# One block of memory taken out and put back, if one can be: where the kernel's own pages are it cannot.
		for block in /sys/devices/system/memory/memory*; do
			[ -w $block/state ] || absent 'no memory hotplug in this kernel'
			[ "$(cat $block/state)" = online ] || continue
			if echo offline 2>/dev/null >$block/state; then
				echo online >$block/state
				return
			fi
		done
		absent 'no block of memory can be taken out'
		;;
	swap-off)
		[ "$(wc -l 2>/dev/null </proc/swaps)" -gt 1 ] 2>/dev/null || absent 'nothing to swap to'
		swapoff $(tail -n +2 /proc/swaps | cut -d ' ' -f 1) # -a wants an fstab
		;;
	drop-caches)
		rm -rf $dir/files/* $dir/mapped $dir/pipes
		umount $dir/files
		knob /proc/sys/vm/drop_caches 3 || absent 'no /proc/sys/vm/drop_caches'
		;;
	esac
}

# after NAME SCALE: puts back what a step has set, however it ended. SCALE is the watermark's that was.
after() {
	case $1 in
	hugetlb) knob $hugepages 0 ;;
	ksm) knob /sys/kernel/mm/ksm/run 2 ;;
	pressure) knob $scale "$2" ;;
	esac
}

# say LINE: where it stays one line among the kernel's own, the log, and else on the console.
say() {
	if [ -c /dev/kmsg ] && printf '<5>%s\n' "$1" 2>/dev/null >/dev/kmsg; then
		return
	fi
	printf '\n%s\n' "$1"
}

# limited ARGS: this script with ARGS, its output in $dir/output; all that it started is ended with it, after $limit
# seconds at the latest. A pipe would be open for as long as any child has it: the output goes to a file.
limited() {
	setsid sh "$0" "$@" >$dir/output 2>&1 &
	group=$!
	setsid sh -c "sleep $limit; kill -KILL -$group" >/dev/null 2>&1 &
	guard=$!
	wait $group 2>/dev/null # or it says "Killed"
	ended=$?
	kill -KILL -$guard $guard -$group 2>/dev/null # the second for one that has no session yet
	return $ended
}

case $1 in
'') ;;
after)
	after "$2" "$3"
	exit
	;;
*)
	step "$1"
	exit
	;;
esac

mkdir -p $dir
was=$(cat $scale 2>/dev/null)
failed=0
for name in $steps; do
	say "kcatch-workload: $name begins"
	limited $name
	status=$?
	text=$(tail -n 1 $dir/output | tr -cd ' -~' | cut -c 1-120)
	case $name in
	hugetlb | ksm | pressure) limited after $name "$was" ;;
	esac
	case $status in
	0) say "kcatch-workload: $name ok" ;;
	77) say "kcatch-workload: $name not there: $text" ;;
	*)
		say "kcatch-workload: $name failed with $status: $text"
		failed=1
		;;
	esac
done
exit $failed
