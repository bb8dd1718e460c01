/* SPDX-License-Identifier: ISC */
/*
 * One HTTP/1 request (RFC 9112) out of bytes: enough for a server that has one
 * resource a host, and strict, because a client that is read differently by
 * two programs can put words into another's mouth. Only GET and HEAD come
 * without complaint, and no request has a body: what says that it has one is
 * refused and the connection closed, so nothing is ever skipped. Pure.
 */
#ifndef POSTERN_SMTPD_STS_REQUEST_H
#define POSTERN_SMTPD_STS_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

enum { STS_REQUEST_MAX = 8 << 10,	/* the whole head */
    STS_REQUEST_FIELDS_MAX = 64, STS_REQUEST_HOST_MAX = 255 };

struct sts_request {
	/* 0: read on. 200: understood; the host and the path decide. Else the
	 * status to answer with before the connection is closed. */
	int	 status;
	size_t	 length;	/* bytes it took; 0 unless 200 */
	bool	 head;		/* HEAD: no body in the answer */
	bool	 keep;		/* the connection may go on */
	/* Lower case, without port and final dot; "" when an HTTP/1.0 client
	 * named none. */
	char	 host[STS_REQUEST_HOST_MAX + 1];
	bool	 policy;	/* the path is /.well-known/mta-sts.txt */
};

/* Reads the request at the beginning of data, of which there may be more. */
void	 sts_request_read(struct sts_request *request, const char *data,
	    size_t length);
/* "Not Found" */
const char	*sts_request_reason(int status);

#endif
