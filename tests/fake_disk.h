/* SPDX-License-Identifier: ISC */
/*
 * For unit tests of what is written: a disk that can be full, and counts how
 * often it is flushed. It stands in the place of libc's functions for everybody
 * in the process, libdb too.
 */
#ifndef POSTERN_TESTS_FAKE_DISK_H
#define POSTERN_TESTS_FAKE_DISK_H

#include <stdbool.h>

extern struct fake_disk {
	bool	 is_full;	/* but for the standard streams */
	/* Where processes are killed and not the kernel: nothing is lost, and
	 * tests are faster. */
	bool	 skips_sync;
	unsigned flushes;	/* fdatasync(2) */
} fake_disk;

#endif
