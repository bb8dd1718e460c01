/* SPDX-License-Identifier: ISC */
/*
 * A relay in the path: path_relay.c reads, finds lines and the beginning of
 * TLS, and writes; path_spoil.c has, word by word, what is done to them.
 */
#ifndef POSTERN_TOOLS_LAB_PATH_PRIVATE_H
#define POSTERN_TOOLS_LAB_PATH_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "tools/lab/path.h"

/* Where we are in a way's TLS records (RFC 8446 5.1). */
struct path_records {
	uint8_t		 header[5];
	size_t		 header_length;	/* 5: in the body */
	size_t		 offset;	/* in the body: of the next byte */
	bool		 data;		/* application data was there */
};

/* One direction. */
struct path_way {
	int			 from, to;	/* borrowed */
	struct buf		 in;		/* read, not yet looked at */
	struct buf		 out;		/* to be written */
	size_t			 written;	/* bytes so far */
	bool			 ended;		/* from has sent its FIN */
	bool			 closed;	/* and to has had ours */
	struct path_records	 records;
};

struct path_relay {
	const struct path_spoil	*spoil;
	struct path_way		 up;		/* client to server */
	struct path_way		 down;
	struct buf		 held;		/* a line of a reply, or none */
	bool			 raw;		/* TLS: bytes from here on */
	bool			 silent;	/* nothing passes any more */
	bool			 in_content;	/* of a message, upwards */
	bool			 greeted;	/* the banner is over */
	bool			 asked;		/* STARTTLS, not yet answered */
	bool			 done;		/* what is done once */
};

/*
 * What a word does. A hook puts into `out` what is to be passed on, and may
 * change it in place; null passes everything on as it is.
 */
struct path_spoil {
	/* a line in clear, with its end; commands only, not content */
	void	(*reply)(struct path_relay *relay, char *line, size_t length);
	void	(*command)(struct path_relay *relay, char *line,
		    size_t length);
	/* the client's first byte of TLS: -1 resets both connections */
	int	(*start_tls)(struct path_relay *relay);
	/* bytes of TLS */
	void	(*bytes)(struct path_relay *relay, struct path_way *way,
		    char *data, size_t length);
	/* the most that is written at once, after so much; 0: all */
	size_t	(*piece)(const struct path_way *way);
};

const struct path_spoil	*path_spoil_of(enum lab_path path);
/* What a hook held back. */
void	 path_release_held(struct path_relay *relay);

#endif
