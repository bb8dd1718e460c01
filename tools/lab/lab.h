/* SPDX-License-Identifier: ISC */
/*
 * The command line of postern-lab; see postern-lab(7).
 */
#ifndef POSTERN_TOOLS_LAB_LAB_H
#define POSTERN_TOOLS_LAB_LAB_H

/* The exit status: 0, 1, 64 (usage), 65 (a scenario that cannot be read), 77,
 * or 128 and the signal that ended it. */
int	 lab_main(int argc, char **argv);

#endif
