/* SPDX-License-Identifier: ISC */
/*
 * What makes the lab fit for an MTA: an executable with a few verbs, told
 * everything by the environment. The contract is in postern-lab(7): start,
 * stop, refresh, flush, settled, log, and
 *
 * health	0: alive; 1: a process of it crashed or a guard in it tripped
 *		since start, the last line says which. 77: cannot tell
 * clock	the MTA's time is off by $LAB_CLOCK ("+691200", seconds) from now
 *		on; a restart keeps queue and learned policies. 77: it cannot
 * version	a line: name and version
 *
 * LAB_PROFILE is rfc or strict (nothing may go in clear, where the scenario's
 * sender section does not say otherwise). LAB_SERVICES are the words of the
 * receiver section; LAB_SUBMISSION_PORT and LAB_SUBMISSIONS_PORT where those
 * are to listen, on 127.0.0.1; LAB_CERTIFICATE and LAB_KEY the chain and the
 * key to show (PEM). A service that the MTA has not got is status 77 of start.
 */
#ifndef POSTERN_TOOLS_LAB_DRIVER_H
#define POSTERN_TOOLS_LAB_DRIVER_H

#include <stddef.h>

/* Where things of the lab are; everything is borrowed. */
struct lab_places {
	char	*data;		/* scenarios/ and drivers/ are in it */
	char	*postern;	/* the binary under test */
	char	*peers;		/* unpacked MTAs: tests/system/peers/unpack */
};

struct lab_driver {
	char	*name;		/* as it is printed */
	char	*path;
};

/* By the name of a driver of ours, or by the path of a file. -1, sentence. */
int	 lab_driver_find(struct lab_driver *driver,
	    const struct lab_places *places, const char *name, char *error,
	    size_t size);
void	 lab_driver_release(struct lab_driver *driver);
/* Every name in DIR that ends so, sorted; owned by the caller: an array of
 * count strings. */
char	**lab_list_names(const char *directory, const char *ending,
	    size_t *count);

#endif
