/* SPDX-License-Identifier: ISC */
/*
 * What became of one recipient, or of one attempt: a value that is made where
 * it happens and travels unchanged to the log, the queue, the history and the
 * delivery status notification (RFC 3463, RFC 3464). It holds no pointers
 * that it does not own.
 */
#ifndef POSTERN_BASE_STATUS_H
#define POSTERN_BASE_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire_reader;
struct wire_writer;

enum status_outcome { STATUS_DELIVERED, STATUS_RELAYED, STATUS_DEFERRED,
    STATUS_FAILED, STATUS_OUTCOMES };

/* Why, for selection at the command line (queue list --reason). The numbers are
 * stored: new ones go to the end. */
enum status_reason {
	REASON_NONE, REASON_REPLY,	/* the remote said so */
	REASON_CONNECT, REASON_LOST, REASON_TIMEOUT, REASON_PROTOCOL,
	REASON_DNS, REASON_DNS_BOGUS, REASON_NO_HOST, REASON_NULL_MX,
	REASON_LOOP, REASON_NO_STARTTLS, REASON_STARTTLS_REFUSED,
	REASON_TLS_HANDSHAKE, REASON_CERTIFICATE, REASON_POLICY,
	REASON_MAILBOX, REASON_LOCAL, REASON_EXPIRED, REASON_OPERATOR,
	REASON_MEDIA,
	REASON_DANE_MISMATCH,	/* no TLSA record matches what was shown */
	REASON_STS_MX,		/* a host the MTA-STS policy leaves out */
	REASON_STS_CERTIFICATE,	/* WebPKI, because of an MTA-STS policy */
	REASON_REQUIRETLS,	/* RFC 8689: what the sender demands */
	REASON_LOGIN,		/* our own, at a host that a route names */
	REASON_PAUSED,		/* the operator lets nothing go there */
	STATUS_REASONS
};

enum { STATUS_TEXT_MAX = 512, STATUS_HOST_MAX = 320, STATUS_TLS_MAX = 96 };

struct status {
	enum status_outcome	 outcome;
	enum status_reason	 reason;
	uint16_t		 code;		/* SMTP reply code; 0: none */
	uint8_t			 enhanced_class;	/* 2, 4 or 5 */
	uint16_t		 enhanced_subject;
	uint16_t		 enhanced_detail;
	/* RELAYED to a host that took over the duty to notify (RFC 3461
	 * 5.2.1): no "relayed" report is ours to send */
	bool			 notifies;
	/* One line; the remote's words when reason is REASON_REPLY. */
	char			 text[STATUS_TEXT_MAX];
	/* "mx1.example.net[192.0.2.7]"; empty when nobody was reached. */
	char			 host[STATUS_HOST_MAX];
	/* "none", "TLSv1.3 TLS_AES_256_GCM_SHA384 verify=secure"; or empty. */
	char			 tls[STATUS_TLS_MAX];
};

/* What makes a status sets all of it: host and tls are empty afterwards.
 * enhanced is "5.1.1"; class is made to agree with the outcome (SMTP-113). */
void	 status_set(struct status *status, enum status_outcome outcome,
	    enum status_reason reason, const char *enhanced, const char *text);
/* text may not be taken from outside as the format. */
void	 status_print(struct status *status, enum status_outcome outcome,
	    enum status_reason reason, const char *enhanced,
	    const char *format, ...) __attribute__((format(printf, 5, 6)));
/*
 * From a remote reply: code and text (lines, separated by newlines, are joined
 * by spaces; an enhanced code at their front is read and taken out). 2xx is RELAYED, 4xx
 * DEFERRED, 5xx FAILED, anything else DEFERRED with REASON_PROTOCOL.
 */
void	 status_from_reply(struct status *status, int code, const char *text);
void	 status_set_host(struct status *status, const char *name,
	    const char *address);
/* "mx1.example.net[192.0.2.7]"; "[192.0.2.7]" when the name is the address. */
void	 status_format_host(const char *name, const char *address, char *out,
	    size_t size);
/* "5.1.1" */
void	 status_format_enhanced(const struct status *status, char *out,
	    size_t size);
/* A host did not show TLS as it should: missing, refused, broken, with another
 * certificate, left out by a policy, or not as REQUIRETLS demands. */
bool	 status_is_about_tls(const struct status *status);
const char	*status_outcome_name(enum status_outcome outcome);
const char	*status_reason_name(enum status_reason reason);
/* -1 if there is no such reason. */
int	 status_reason_find(const char *name);
/*
 * The reasons that a word at the command line means, as bits: a reason's own
 * name, or a class: "broken-tls" (refused STARTTLS, broken handshake),
 * "tls" (whatever is about TLS or its policy), "temporary-dns" (dns,
 * dns-bogus). 0 if there is no such word.
 */
uint64_t status_reason_set(const char *word);

void	 status_put(struct wire_writer *writer, const struct status *status);
/* A status that makes no sense marks the reader bad and reads as deferred. */
void	 status_get(struct wire_reader *reader, struct status *status);

#endif
