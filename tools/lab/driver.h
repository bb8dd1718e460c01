/* SPDX-License-Identifier: ISC */
/*
 * What makes the lab fit for an MTA: an executable with a few verbs, told
 * everything by the environment. The contract is in postern-lab(7).
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
