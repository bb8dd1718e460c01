/* SPDX-License-Identifier: ISC */
/*
 * What sits in the path between a sender and a mail host, "WORD" or
 * "WORD#VISIT" (as in mail_host.h):
 *
 * block		every packet is dropped, SYN included
 * reset, refuse	RST after, or in place of, the connection
 * impostor		another server, with the same names and keys of its
 *			own; what it takes is lost
 *
 * The others take the host's place at its address and pass everything on, both
 * ways and TLS too, but for what they are there to spoil; the true server is a
 * process behind them, on a connection that only they have:
 *
 * strip		STARTTLS is taken out of the reply; the command is
 *			answered 502 in the server's place
 * mangle		the keyword and the command are overwritten with X, the
 *			banner with asterisks, as an old firewall does
 * refuse-ehlo		EHLO is answered 502 in the server's place: only HELO
 *			is left
 * refuse-starttls	the offer stays; the command is answered 454
 * inject		"250 2.0.0 injected" is put into the segment of the 220
 *			to STARTTLS, behind it
 * drop-tls		from the client's first byte of TLS on nothing passes,
 *			no end of a connection either
 * reset-tls		that byte is answered with RST, both ways
 * flip			a bit is flipped in the server's first record of
 *			application data that is longer than 64 bytes and comes
 *			after one of the client's: as TLS 1.3 sends most of its
 *			handshake in such records, all before that is left
 *			alone. In TLS 1.3 it is a session ticket (or, of a
 *			server without, the reply to EHLO), so that the client
 *			meets it when it believes the handshake done; before,
 *			the reply to EHLO
 * pieces		every byte is a segment of its own, with a pause, up to
 *			4096 bytes each way, which is the clear text and the
 *			handshake; what comes later, sixteen bytes a segment
 */
#ifndef POSTERN_TOOLS_LAB_PATH_H
#define POSTERN_TOOLS_LAB_PATH_H

#include <stddef.h>

enum lab_path { LAB_PATH_NONE, LAB_PATH_STRIP, LAB_PATH_MANGLE,
    LAB_PATH_BLOCK, LAB_PATH_RESET, LAB_PATH_REFUSE, LAB_PATH_IMPOSTOR,
    LAB_PATH_REFUSE_EHLO, LAB_PATH_REFUSE_STARTTLS, LAB_PATH_INJECT,
    LAB_PATH_DROP_TLS, LAB_PATH_RESET_TLS, LAB_PATH_FLIP, LAB_PATH_PIECES,
    LAB_PATHS };

/* By the word of a host's section, "" for none, without its visit; -1 if
 * there is no such one. */
int	 lab_path_find(const char *word, size_t length);
/* Drops all that comes for a socket, SYN included. -1 with errno. */
int	 lab_path_block(int fd);
/* Closes with RST. */
void	 lab_path_reset(int fd);
/* Two ends of one TCP connection over 127.0.0.1. -1 with errno. */
int	 lab_path_pair(int ends[2]);
/* Any that passes things on, between the two until both have ended; closes
 * them. An end in order is passed on in order, a reset as a reset. */
void	 lab_path_relay(enum lab_path path, int client, int server);

#endif
