/* SPDX-License-Identifier: ISC */
/*
 * A file of users: any bytes. Every line is a user, passed over, or told of
 * with its number; nobody else gets into the table.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "conf/problem.h"
#include "policy/users.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct users *users = users_new();
	struct problems problems;
	char *copy = mem_dup(data, size == 0 ? 1 : size), *errors;

	problems_init(&problems, "/users");
	users_read(users, "example.org", copy, size, &problems);
	errors = problems_take(&problems);
	if (errors != NULL && strncmp(errors, "/users:", 7) != 0)
		__builtin_trap();
	if (users_has(users, "", "example.org") ||
	    users_has(users, "alice", "example.net"))
		__builtin_trap();
	if (size == 5 && memcmp(data, "alice", 5) == 0 &&
	    !users_has(users, "alice", "example.org"))
		__builtin_trap();
	mem_free(errors);
	mem_free(copy);
	users_free(users);
	return 0;
}
