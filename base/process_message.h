/* SPDX-License-Identifier: ISC */
/*
 * Messages between the supervisor and a role. To the role: anything, the
 * supervisor is trusted. To the supervisor: fixed sizes only.
 */
#ifndef POSTERN_BASE_PROCESS_MESSAGE_H
#define POSTERN_BASE_PROCESS_MESSAGE_H

enum process_message {
	/* to the role */
	PROCESS_BEGIN = 1,	/* text user, text root, u32 log level,
				 * u64 address space bytes (0: none),
				 * u32 descriptors */
	PROCESS_CONFIGURE,	/* the bundle; request is set: RESULT follows */
	PROCESS_START,
	PROCESS_PEER,		/* u8 role, u32 instance; fd */
	PROCESS_LISTENER,	/* text name; fd. Without "@" in the name it
				 * is memory: smtpd/counters.h */
	PROCESS_LISTENER_GONE,	/* text name */
	PROCESS_CONTROL,	/* u32 uid, u32 gid, u8 privileged; fd */
	PROCESS_STOP,
	PROCESS_LOG_LEVEL,	/* u32 */
	/* Both answer a PROCESS_CONNECT; request is its. */
	PROCESS_CONNECTED,	/* nothing; fd */
	PROCESS_NOT_CONNECTED,	/* u32 errno value */
	PROCESS_TABLE,		/* text path; fd: for the PROCESS_CONFIGURE
				 * that follows */

	/* to the supervisor */
	PROCESS_READY,		/* nothing */
	PROCESS_PEER_LOST,	/* u8 role, u32 instance */
	PROCESS_RESULT,		/* u32 0 or 1, PROCESS_RESULT_TEXT bytes */
	PROCESS_CONNECT		/* PROCESS_PATH_BYTES bytes: a path and zeros;
				 * request is set */
};

/* A path has the size of sun_path in sockaddr_un. */
enum { PROCESS_RESULT_TEXT = 480, PROCESS_BUNDLE_MAX = 16 << 20,
    PROCESS_CHANNEL_FD = 3, PROCESS_PATH_BYTES = 108,
    /* Connections that one role may wait for at a time. */
    PROCESS_CONNECT_MAX = 256,
    /* Tables that one configuration may name. */
    PROCESS_TABLES_MAX = 128 };

#endif
