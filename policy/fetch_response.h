/* SPDX-License-Identifier: ISC */
/*
 * One HTTP/1 response (RFC 9112), read from bytes as they come: enough of it
 * for a policy, and strict, because a body that was cut short must never pass
 * for a whole one. Head and body have ceilings; nothing is decoded but chunks.
 */
#ifndef POSTERN_POLICY_FETCH_RESPONSE_H
#define POSTERN_POLICY_FETCH_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "policy/fetch.h"

/*
 *	STATUS -> HEADERS -> LENGTH or CLOSE -> END
 *	   ^--(1xx)--|
 *	             `-> CHUNK_SIZE -> CHUNK_DATA -> CHUNK_END
 *	                  |      ^-----------------------'
 *	                  `-> TRAILER -> END
 * and from each of them to FAILED.
 */
enum response_state { RESPONSE_STATUS, RESPONSE_HEADERS, RESPONSE_LENGTH,
    RESPONSE_CLOSE, RESPONSE_CHUNK_SIZE, RESPONSE_CHUNK_DATA,
    RESPONSE_CHUNK_END, RESPONSE_TRAILER, RESPONSE_END, RESPONSE_FAILED };

enum response_header { RESPONSE_CONTENT_TYPE, RESPONSE_CONTENT_ENCODING,
    RESPONSE_CONTENT_LENGTH, RESPONSE_TRANSFER_ENCODING,
    RESPONSE_HEADER_COUNT };

struct response {
	enum response_state	 state;
	int			 status;
	struct {
		unsigned	 count;
		char		 value[80];	/* the last one; cut */
	} headers[RESPONSE_HEADER_COUNT];

	struct buf		 line;		/* being read */
	size_t			 head_bytes;	/* of all heads and trailers */
	size_t			 left;		/* of the body or the chunk */
	struct buf		 body;

	enum fetch_result	 result;	/* of END and FAILED */
	char			 problem[120];	/* a sentence part about a
						 * host: "sends ..." */
};

void	 response_init(struct response *response);
void	 response_release(struct response *response);
/* True while more is wanted. */
bool	 response_add(struct response *response, const void *data,
	    size_t length);
/* The peer sends no more; well: it said so under TLS. Always ends it. */
void	 response_close(struct response *response, bool well);

#endif
