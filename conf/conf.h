/* SPDX-License-Identifier: ISC */
/*
 * The configuration as the roles see it: read-only after it was read; a
 * reload makes a new one. Every member is set from the table in
 * conf/options.c, with its default; the manual is printed from that table.
 * Times are in seconds, sizes in bytes. Text is owned by the conf.
 */
#ifndef POSTERN_CONF_CONF_H
#define POSTERN_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/net.h"

enum conf_level { LEVEL_AUTO, LEVEL_NONE, LEVEL_MAY, LEVEL_ENCRYPT, LEVEL_DANE,
    LEVEL_DANE_ONLY, LEVEL_STS, LEVEL_STRICT, LEVEL_VERIFY, LEVEL_SECURE,
    LEVEL_FINGERPRINT, LEVEL_COUNT };

/* What to do when an opportunistic host shows no, or broken, TLS. */
enum conf_fallback { FALLBACK_CLEAR, FALLBACK_DEFER, FALLBACK_CLEAR_AFTER };

/* TLSA records of a host that an unsigned MX record named (DANE-36): ignored;
 * TLS but nobody's name; authenticated by them. */
enum conf_insecure_mx { INSECURE_MX_MAY, INSECURE_MX_ENCRYPT,
    INSECURE_MX_DANE };

/* Usable TLSA records and an MTA-STS policy for one host (DANE-139). */
enum conf_sts_with_dane { STS_WITH_DANE_DANE, STS_WITH_DANE_BOTH };

/* What TLS memory does when TLS is gone from where it was. */
enum conf_memory { MEMORY_OBSERVE, MEMORY_WARN, MEMORY_DEFER };

/* Whose TLS-Required: No is heeded (REQ-23). */
enum conf_tls_optional { TLS_OPTIONAL_EVERYBODY, TLS_OPTIONAL_RELAY,
    TLS_OPTIONAL_NOBODY };

/* Under REQUIRETLS, a DANE-EE match alone, or the host's name in the
 * certificate, too (REQ-36a). */
enum conf_requiretls_dane { REQUIRETLS_DANE_MATCH, REQUIRETLS_DANE_NAME_TOO };

/* A notification about a REQUIRETLS message that no host can take so
 * (REQ-73). */
enum conf_requiretls_bounce { REQUIRETLS_BOUNCE_SEND, REQUIRETLS_BOUNCE_DROP };

enum conf_route_tls { ROUTE_TLS_STARTTLS, ROUTE_TLS_IMPLICIT };

enum conf_listener_tls { LISTENER_TLS_OFFER, LISTENER_TLS_REQUIRE,
    LISTENER_TLS_IMPLICIT, LISTENER_TLS_NONE };

/* What is spoken on a listener. */
enum conf_service {
	SERVICE_SMTP,		/* mail from everybody, for our domains */
	SERVICE_SUBMISSION,	/* RFC 6409: our own people, after login */
	SERVICE_LMTP,		/* RFC 2033: a server of ours */
	SERVICE_MTA_STS,	/* HTTPS: our policies, no mail */
	SERVICES
};

/* Who may send to domains that are not ours, through one listener. */
enum conf_relay {
	RELAY_ANY,		/* relay-from, listed certificates, users */
	RELAY_AUTHENTICATED,	/* listed certificates and users */
	RELAY_NOBODY
};

/* What our own MTA-STS policy for a domain of ours says (RFC 8461 3.2): there
 * is none; testing; enforce; or mode none, to take back what was published
 * (RFC 8461 8.3). */
enum conf_sts_mode { STS_PUBLISH_NONE, STS_PUBLISH_TESTING,
    STS_PUBLISH_ENFORCE, STS_PUBLISH_WITHDRAW };

/* Which addresses of a host are tried first. */
enum conf_family { FAMILY_ANY, FAMILY_IPV4, FAMILY_IPV6 };

/* A limit or a test of clients: not made; made, but only the log tells what it
 * would have done; in force. */
enum conf_mode { MODE_OFF, MODE_WARN, MODE_ON };

/* What is done about who a message says it is from (SPF, DMARC): nothing is
 * looked up; the result stands in Authentication-Results; mail that its domain
 * disowns is refused, too. A domain may leave it to the top level. */
enum conf_verify { VERIFY_OFF, VERIFY_OBSERVE, VERIFY_ENFORCE,
    VERIFY_BY_TOP };

/* What becomes of mail when a filter cannot be asked. */
enum conf_filter_failure { FILTER_TEMPFAIL, FILTER_ACCEPT, FILTER_REJECT };

/* So many within so many seconds; seconds 0: no limit. */
struct conf_rate {
	int64_t		 count;
	int64_t		 seconds;
	bool		 warn;		/* only the log tells */
};

enum conf_transport { TRANSPORT_SMTP, TRANSPORT_DISCARD, TRANSPORT_MAILDIR,
    TRANSPORT_LMTP };

enum conf_resolver { RESOLVER_RECURSIVE, RESOLVER_FORWARD,
    RESOLVER_RESOLV_CONF };

struct conf_texts {		/* a list of strings */
	char	**items;
	size_t	  count;
};

struct conf_networks {
	struct network	*items;
	size_t		 count;
};

struct conf_certificate {	/* certificate NAME { chain = key = } */
	char	*name;
	char	*chain;		/* path */
	char	*key;		/* path */
};

struct conf_listener {		/* listen NAME { ... } */
	char			*name;
	enum conf_service	 service;	/* by the name when not given */
	struct conf_texts	 addresses;	/* default "0.0.0.0", "::" */
	int64_t			 port;		/* by the service */
	char			*socket;	/* path, and no port; or "" */
	char			*socket_group;	/* who may connect; never "" */
	enum conf_listener_tls	 tls;		/* by the service */
	struct conf_texts	 certificates;	/* names; none: all of them */
	bool			 client_certificates;	/* asked for */
	bool			 auth;		/* by the service */
	enum conf_relay		 relay;
	struct conf_networks	 proxy_from;	/* must send a PROXY header */
	int64_t			 max_sessions_per_client;	/* 0: top */
	struct conf_texts	 milters;	/* names; by the top level */
};

struct conf_milter {		/* milter NAME { ... } */
	char			*name;
	char			*socket;	/* path; or "" */
	char			*host;		/* address; or "" */
	int64_t			 port;
	int64_t			 connect_timeout;
	int64_t			 reply_timeout;	/* each answer */
	int64_t			 message_timeout;	/* end of content to the
							 * last answer */
	enum conf_filter_failure failure;
};

struct conf_domain {		/* domain NAME { ... }: ours */
	char			*name;
	struct conf_texts	 users;		/* local parts; "*": everybody */
	char			*users_file;	/* one local part a line */
	char			*maildir;	/* set: mail-directory/NAME when
						 * not given */
	bool			 relay;		/* sent on, not kept */
	char			*aliases_file;	/* of this domain; or "" */
	char			*catch_all;	/* address; or "" */
	int64_t			 quota;		/* of each maildir; 0: none */
	enum conf_sts_mode	 sts;
	struct conf_texts	 sts_mx;	/* set: hostname when not given */
	int64_t			 sts_max_age;
	enum conf_verify	 spf;		/* as recipients' domain */
	enum conf_verify	 dmarc;
	bool			 dkim_sign;	/* as senders' domain */
};

struct conf_route {		/* route PATTERN { ... } */
	char			*pattern;	/* domain, ".domain", "*" */
	enum conf_transport	 transport;
	char			*host;		/* name or address; empty: the
						 * recipient's domain */
	int64_t			 port;
	bool			 mx;		/* look up MX of host */
	enum conf_route_tls	 tls;
	char			*socket;	/* LMTP: path; or "" */
	/* A user name and a password; or "". */
	char			*credentials_file;
	/* Name of the section that we show to the host; or "". */
	char			*certificate;
	/* LEVEL_COUNT: the destination section decides. */
	enum conf_level		 level;
	struct conf_texts	 names;
	uint8_t			(*fingerprints)[DIGEST_BYTES];
	size_t			 fingerprint_count;
};

struct conf_destination {	/* destination PATTERN { ... } */
	char			*pattern;
	bool			 of_route;	/* a route's; its pattern */
	enum conf_level		 level;
	struct conf_texts	 names;		/* verify and secure */
	uint8_t			(*fingerprints)[DIGEST_BYTES];
	size_t			 fingerprint_count;
	enum conf_fallback	 no_starttls;
	int64_t			 no_starttls_after;
	enum conf_fallback	 broken_tls;
	int64_t			 broken_tls_after;
	enum conf_insecure_mx	 insecure_mx;
	enum conf_sts_with_dane	 sts_with_dane;
	enum conf_memory	 memory;
};

struct conf {
	char			*hostname;
	char			*postmaster;	/* address; gets double bounces */

	struct conf_certificate	*certificates;
	size_t			 certificate_count;
	struct conf_listener	*listeners;
	size_t			 listener_count;
	struct conf_milter	*milters;
	size_t			 milter_count;
	struct conf_domain	*domains;
	size_t			 domain_count;
	struct conf_route	*routes;
	size_t			 route_count;
	struct conf_destination	*destinations;
	size_t			 destination_count;
	struct conf_destination	 unlisted;	/* where none matches */
	/* By route: what its level, names and fingerprints make of unlisted;
	 * its texts are the route's. */
	struct conf_destination	*route_destinations;

	struct conf_networks	 relay_from;	/* may send anywhere */
	struct conf_networks	 bare_newline_from;	/* SMTP-4: normalise */
	struct conf_networks	 tls_required_from;	/* TLS-17 */
	char			*relay_certificates_file;	/* listed ones */

	/* users and addresses */
	char			*accounts_file;		/* may not be there */
	char			*sts_approvals_file;	/* the same */
	char			*auth_socket;		/* Dovecot's; or "" */
	struct conf_texts	 auth_mechanisms;
	char			*aliases_file;		/* of all; or "" */
	char			*recipient_delimiter;	/* "+"; or "" */
	char			*srs_domain;		/* or "": no SRS */
	char			*srs_secret_file;

	/* directories and files */
	char			*state_directory;	/* queue/ policy/ */
	char			*queue_directory;
	char			*mail_directory;
	char			*run_directory;		/* socket, pid */
	char			*control_socket;
	char			*local_socket;		/* for sendmail */
	char			*drop_directory;	/* while we are down */
	char			*trust_file;		/* CA certificates */
	char			*users_prefix;		/* "postern-" */
	char			*mail_user;
	char			*control_group;
	bool			 drop_privileges;	/* only as root */

	/* receiving */
	int64_t			 smtpd_workers;
	int64_t			 max_message_size;
	int64_t			 max_recipients;
	int64_t			 max_sessions;		/* in all */
	int64_t			 max_sessions_per_client;
	int64_t			 max_errors;		/* then 421 */
	int64_t			 max_line;		/* DATA line, bytes */
	int64_t			 max_received;		/* loop: 100 */
	int64_t			 command_timeout;
	int64_t			 data_timeout;		/* between blocks */
	int64_t			 message_timeout;	/* whole DATA */
	int64_t			 handshake_timeout;

	/* who mail is really from */
	char			*authentication_name;	/* never "" */
	enum conf_verify	 spf;
	bool			 dkim_verify;
	enum conf_verify	 dmarc;
	char			*dkim_keys_file;	/* may not be there */

	/* filters */
	struct conf_texts	 milter_chain;	/* names, in order */
	int64_t			 filter_memory;	/* bytes, each smtpd */

	/* limits and tests of clients */
	struct conf_networks	 allow_from;	/* no test, no limit */
	struct conf_networks	 deny_from;
	struct conf_rate	 connection_rate;	/* of one client */
	struct conf_rate	 network_connection_rate;
	struct conf_rate	 message_rate;		/* of one client */
	struct conf_rate	 recipient_rate;	/* of one client */
	struct conf_rate	 network_recipient_rate;
	struct conf_rate	 sender_rate;		/* of one MAIL FROM */
	struct conf_rate	 user_rate;		/* messages of a user */
	struct conf_rate	 user_recipient_rate;
	int64_t			 network_ipv4;		/* prefix bits */
	int64_t			 network_ipv6;
	struct conf_texts	 dnsbl;		/* ZONE or "ZONE ANSWERS" */
	enum conf_mode		 dnsbl_mode;
	struct conf_texts	 dnswl;
	enum conf_mode		 reverse_name;
	enum conf_mode		 greylist;
	int64_t			 greylist_delay;
	int64_t			 greylist_window;
	int64_t			 greylist_keep;
	int64_t			 greeting_delay;
	enum conf_mode		 early_talker;
	int64_t			 tarpit;	/* pause before a refusal */
	int64_t			 tarpit_after;	/* errors */

	/* keeping */
	int64_t			 message_expiry;	/* 5 days */
	int64_t			 bounce_expiry;		/* of DSNs */
	int64_t			 delay_warning;		/* seconds; 0: none */
	int64_t			 history;		/* seconds; 0: none */
	int64_t			 history_space;		/* bytes */
	int64_t			 retry_first;		/* 5 minutes */
	int64_t			 retry_max;		/* 4 hours */
	int64_t			 destination_concurrency;
	int64_t			 delivery_slots;	/* in all */
	int64_t			 low_space;		/* bytes kept free */
	int64_t			 queue_cache;		/* bytes */
	int64_t			 active_messages;	/* window in memory */

	/* sending */
	int64_t			 connect_timeout;
	int64_t			 greeting_timeout;
	int64_t			 reply_timeout;
	int64_t			 data_reply_timeout;	/* final dot */
	int64_t			 reuse_limit;		/* messages */
	int64_t			 reuse_idle;
	struct conf_texts	 source_addresses;
	bool			 ipv4;
	bool			 ipv6;
	enum conf_family	 prefer;
	char			*hello_ipv4;		/* in EHLO; never "" */
	char			*hello_ipv6;
	/* For laboratories: lets mail go to loopback addresses. */
	bool			 allow_loopback;

	/* resolver */
	enum conf_resolver	 resolver;
	struct conf_texts	 forwarders;
	char			*trust_anchor_file;
	char			*root_hints_file;
	/* "zone address@port" lines: stub zones, for split DNS and tests */
	struct conf_texts	 stub_zones;
	int64_t			 resolver_timeout;

	/* MTA-STS */
	int64_t			 sts_discovery_wait;	/* STS-17 */
	int64_t			 sts_fetch_timeout;	/* STS-29 */
	int64_t			 sts_refresh;		/* STS-89 */

	bool			 smtputf8;	/* RFC 6531: offered */

	/* REQUIRETLS (RFC 8689) */
	bool			 requiretls;	/* offered under TLS */
	enum conf_tls_optional	 tls_required_no;
	enum conf_requiretls_dane requiretls_dane_ee;
	enum conf_requiretls_bounce requiretls_bounce;

	/* TLS memory */
	int64_t			 memory_observations;
	int64_t			 memory_age;

	int64_t			 stop_seconds;
	char			*log_level;	/* debug, info, warn, error */

	/* What a careful administrator would want to hear, a line each in the
	 * form of the errors; null: nothing. */
	char			*warnings;
};

/* Where mail for a recipient's domain goes next. */
struct conf_next_hop {
	enum conf_transport	 transport;
	/* Never empty for SMTP: a name to look up, or an address as a literal,
	 * "[192.0.2.1]". Equal to the domain asked for (but for case) unless a
	 * route names another host: what differs from the domain was written
	 * by the administrator. */
	char			 host[256];
	uint16_t		 port;
	bool			 mx;
	bool			 implicit_tls;	/* RFC 8314: TLS from the first byte */
	const struct conf_domain	*local;	/* TRANSPORT_MAILDIR */
	bool			 routed;	/* by a route: also in a channel */
	/* Written by an administrator: socket, credentials, certificate. Null:
	 * none matched, or it came by a channel (conf_route_find() then). */
	const struct conf_route		*route;
};

/*
 * Reads configuration text; name is for messages ("/etc/postern.conf").
 * Null with one or more lines "FILE:LINE: what is wrong; what is accepted" in
 * errors (owned by the caller when not null).
 */
struct conf	*conf_read(const char *name, const char *text, char **errors);
void		 conf_free(struct conf *conf);

/* What TLS mail for that domain must get (never null): its route, when that
 * has a level; else the first destination that matches; else the default. */
const struct conf_destination	*conf_destination_find(const struct conf *conf,
				    const char *domain);
const struct conf_domain	*conf_domain_find(const struct conf *conf,
				    const char *domain);
/* Null if none matches. */
const struct conf_route		*conf_route_find(const struct conf *conf,
				    const char *domain);
/* Null if there is none of that name. */
const struct conf_milter	*conf_milter_find(const struct conf *conf,
				    const char *name);
const struct conf_certificate	*conf_certificate_find(
				    const struct conf *conf, const char *name);
/* Null if there is none of that name. */
const struct conf_listener	*conf_listener_find(const struct conf *conf,
				    const char *name);
/* Explicit routes first (in file order), then our own domains, then MX. */
void	 conf_next_hop(const struct conf *conf, const char *domain,
	    struct conf_next_hop *next);
bool	 conf_networks_contain(const struct conf_networks *networks,
	    const struct endpoint *endpoint);
const char	*conf_level_name(enum conf_level level);
/* May it end in TLS that is only used when offered, so that no-starttls and
 * broken-tls mean something? */
bool		 conf_level_may_fall_back(enum conf_level level);
/* Does what is published decide: TLSA records, an MTA-STS policy? */
bool		 conf_level_heeds_dane(enum conf_level level);
bool		 conf_level_heeds_sts(enum conf_level level);

#endif
