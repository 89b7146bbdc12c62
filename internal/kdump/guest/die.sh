# In the first kernel: load the one that takes over, and die.
set -e
/kdump/load /kdump/bzImage /kdump/initrd "console=ttyS0 nr_cpus=1 reset_devices irqpoll panic=-1"
echo 1 >/proc/sys/kernel/panic_on_oops
