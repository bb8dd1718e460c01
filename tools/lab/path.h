/* SPDX-License-Identifier: ISC */
/*
 * What sits in the path between a sender and a mail host. strip and mangle
 * take the host's place at its address and pass everything on, both ways and
 * TLS too, but for what they are there to spoil; the true server is a process
 * behind them, on a connection that only they have. The others need no more
 * than a listener that is treated otherwise.
 */
#ifndef POSTERN_TOOLS_LAB_PATH_H
#define POSTERN_TOOLS_LAB_PATH_H

enum lab_path { LAB_PATH_NONE, LAB_PATH_STRIP, LAB_PATH_MANGLE,
    LAB_PATH_BLOCK, LAB_PATH_RESET, LAB_PATH_REFUSE, LAB_PATH_IMPOSTOR,
    LAB_PATHS };

/* By the word of a host's section, "" for none; -1 if there is no such one. */
int	 lab_path_find(const char *word);
/* Drops all that comes for a socket, SYN included. -1 with errno. */
int	 lab_path_block(int fd);
/* Closes with RST. */
void	 lab_path_reset(int fd);
/* Two ends of one TCP connection over 127.0.0.1. -1 with errno. */
int	 lab_path_pair(int ends[2]);
/* STRIP or MANGLE between the two until both have ended; closes them. An
 * end in order is passed on in order, a reset as a reset. */
void	 lab_path_relay(enum lab_path path, int client, int server);

#endif
