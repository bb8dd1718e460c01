/* SPDX-License-Identifier: ISC */
/*
 * tools/lab/run_message.c: how a message is handed over, in clear and, with
 * REQUIRETLS, under TLS; and what is said of an MTA that does not take it. The
 * server cuts the connection at the first line that is not the right one.
 */
#include "tools/lab/run_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/lab_dialogue_server.h"
#include "tools/lab/scenario.h"

#define HELLO "then EHLO client.origin.example"
#define ENVELOPE "then RCPT TO:<bob@example.net>", "> 250 ok|", "then DATA", \
	"> 354 go|"
/* From, To, Date, Message-ID */
#define HEAD "<", "<", "<", "<", "then X-Postern-Lab: 7", \
	"then Subject: message 7 of the lab"
#define END "then Text.", "then .", "> 250 2.0.0 queued as X1|", "then QUIT", \
	"> 221 bye|"

static char *header[] = { (char *)(uintptr_t)"TLS-Required:",
    (char *)(uintptr_t)" No" };
static char *body[] = { (char *)(uintptr_t)"", (char *)(uintptr_t)".dot" };

static const struct test_case {
	bool		 requiretls, long_letter;
	const char	*parameters;
	const char	*script[WORDS_MAX];
	const char	*reply;		/* null: it is not taken */
	const char	*error;		/* a part of it */
} cases[] = {
	{ false, false, "", { "> 220 a|", HELLO, "> 250-a|250 STARTTLS|",
	    "then MAIL FROM:<alice@origin.example>", "> 250 ok|", ENVELOPE,
	    HEAD, "then ", END }, "250 2.0.0 queued as X1", NULL },
	{ false, true, "RET=FULL", { "> 220 a|", HELLO, "> 250 a|",
	    "then MAIL FROM:<alice@origin.example> RET=FULL", "> 250 ok|",
	    ENVELOPE, HEAD, "then TLS-Required:", "then  No", "then ",
	    "then ", "then ..dot", END }, "250 2.0.0 queued as X1", NULL },
	{ true, false, "RET=FULL", { "> 220 a|", HELLO,
	    "> 250-a|250-STARTTLS|250 DSN|", "then STARTTLS", "> 220 go|",
	    "tls", HELLO, "> 250-a|250-requiretls|250 DSN|",
	    "then MAIL FROM:<alice@origin.example> REQUIRETLS RET=FULL",
	    "> 250 ok|", ENVELOPE, HEAD, "then ", END },
	    "250 2.0.0 queued as X1", NULL },
	{ true, false, "", { "> 220 a|", HELLO, "> 250-a|250 REQUIRETLS|" },
	    NULL, "offers no STARTTLS" },
	{ true, false, "", { "> 220 a|", HELLO,
	    "> 250-a|250-STARTTLS|250 REQUIRETLS|", "then STARTTLS",
	    "> 454 later|" }, NULL, "454 later" },
	{ true, false, "", { "> 220 a|", HELLO,
	    "> 250-a|250-STARTTLS|250 REQUIRETLS|", "then STARTTLS",
	    "> 220 go|", "alert" }, NULL, "the handshake failed: " },
	{ true, false, "", { "> 220 a|", HELLO,
	    "> 250-a|250-STARTTLS|250 REQUIRETLS|", "then STARTTLS",
	    "> 220 go|", "tls", HELLO, "> 250-a|250 REQUIRETLSX|" }, NULL,
	    "does not offer REQUIRETLS under TLS" },
	{ false, false, "", { "> 220 a|", HELLO, "> 250 a|", "<",
	    "> 550 5.7.1 go away|" }, NULL, "550 5.7.1 go away" },
	{ false, false, "", { "> 421 busy|" }, NULL, "421 busy" },
	{ false, false, "", { "cut" }, NULL, "no reply" },
	{ false, false, "", { "> 220-a|" , "cut" }, NULL, "no reply" },
};

static void check(size_t i)
{
	const struct test_case *row = &cases[i];
	char to[] = "bob@example.net";
	const struct lab_step step = { .to = to,
	    .requiretls = row->requiretls,
	    .parameters = (char *)(uintptr_t)row->parameters,
	    .header = { header, row->long_letter ? 2 : 0 },
	    .body = { body, row->long_letter ? 2 : 0 } };
	struct lab_handover handover;
	struct server server;
	char port[16];
	int result;

	server_start(&server, row->script);
	snprintf(port, sizeof(port), "%d", server.port);
	setenv("LAB_PORT", port, 1);
	result = lab_message_send(&step, 7, &handover);
	server_stop(&server);
	if (row->reply != NULL && (result != 0 || strcmp(handover.reply,
	    row->reply) != 0))
		fail_msg("case %zu: %s", i, handover.error);
	if (row->reply == NULL && (result != -1 || strstr(handover.error,
	    row->error) == NULL || strstr(handover.error,
	    "did not take the message") == NULL))
		fail_msg("case %zu: %d, %s", i, result, handover.error);
}

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check(i);
}

static void test_nobody(void **state)
{
	const struct lab_step step = { .to = (char *)(uintptr_t)"a@b",
	    .parameters = (char *)(uintptr_t)"" };
	struct lab_handover handover;
	char error[200];

	(void)state;
	setenv("LAB_PORT", "1", 1);	/* tcpmux: nobody is there */
	assert_int_equal(lab_message_send(&step, 7, &handover), -1);
	assert_non_null(strstr(handover.error, "does not listen"));
	assert_int_equal(lab_message_wait(0, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "does not greet"));
}

static void test_greeting(void **state)
{
	static const char *const script[WORDS_MAX] = { "> 220 a|",
	    "then QUIT", "> 221 bye|" };
	struct server server;
	char error[200], port[16];

	(void)state;
	server_start(&server, script);
	snprintf(port, sizeof(port), "%d", server.port);
	setenv("LAB_PORT", port, 1);
	assert_int_equal(lab_message_wait(5, error, sizeof(error)), 0);
	server_stop(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_greeting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
