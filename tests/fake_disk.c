/* SPDX-License-Identifier: ISC */
/*
 * The functions of libc that a store writes with; see fake_disk.h.
 */
#include "tests/fake_disk.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

struct fake_disk fake_disk;

ssize_t	pwrite64(int fd, const void *data, size_t length, off_t at);

int fdatasync(int fd)
{
	fake_disk.flushes++;
	return fake_disk.skips_sync ? 0 : (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
	return fake_disk.skips_sync ? 0 : (int)syscall(SYS_fsync, fd);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off_t at)
{
	if (!fake_disk.is_full)
		return syscall(SYS_pwrite64, fd, data, length, at);
	errno = ENOSPC;
	return -1;
}

ssize_t write(int fd, const void *data, size_t length)
{
	if (!fake_disk.is_full || fd <= 2)
		return syscall(SYS_write, fd, data, length);
	errno = ENOSPC;
	return -1;
}
