/* SPDX-License-Identifier: ISC */
/*
 * postern user: add, passwd, address, list, disable, enable, remove, test. The
 * accounts are in accounts-file (policy/accounts.h says what a line is). A
 * server that runs is told at once. With auth-socket, passwords are another
 * server's; accounts then only list addresses.
 */
#include "tools/command.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/control.h"
#include "base/mem.h"
#include "config.h"
#include "conf/conf.h"
#include "policy/accounts.h"
#include "policy/password.h"
#include "tools/command_text.h"
#include "tools/control_client.h"
#include "tools/kept_file.h"
#include "tools/password_input.h"

static int	run_add(int argc, char **argv);
static int	run_password(int argc, char **argv);
static int	run_address(int argc, char **argv);
static int	run_list(int argc, char **argv);
static int	run_disable(int argc, char **argv);
static int	run_enable(int argc, char **argv);
static int	run_remove(int argc, char **argv);
static int	run_test(int argc, char **argv);

static const struct command table[] = {
	{ "add", "NAME [--address ADDRESS]... [--password-file FILE] [-c FILE]",
	    "let somebody log in and send", run_add },
	{ "passwd", "NAME [--password-file FILE] [-c FILE]",
	    "give a new password", run_password },
	{ "address", "NAME [--add ADDRESS]... [--remove ADDRESS]... [-c FILE]",
	    "which addresses, beside the own ones, a user may send from",
	    run_address },
	{ "list", "[-j] [-c FILE]", "the accounts", run_list },
	{ "disable", "NAME [-c FILE]", "refuse logins, keep the account",
	    run_disable },
	{ "enable", "NAME [-c FILE]", "let the user log in again",
	    run_enable },
	{ "remove", "NAME [-c FILE]", "forget the account", run_remove },
	{ "test", "NAME [--password-file FILE] [-c FILE]",
	    "is this the password?", run_test },
};
enum verb { ADD, PASSWORD, ADDRESS, LIST, DISABLE, ENABLE, REMOVE, TEST,
    VERBS };

static const char prefix[] = "postern user";

static const char help[] =
"  NAME is an address (alice@example.org), or a local part of the first domain,\n"
"  and what the mail program has to log in with, as it stands here.\n"
"  A user sends from that address, from each whose mail goes to the same\n"
"  mailbox and nowhere else, and from those that are listed:\n"
"  --address ADDRESS     local@domain, @domain, or * for all addresses\n"
"  --password-file FILE  the password is the first line of FILE; - is standard\n"
"                        input. Otherwise it is asked for on the terminal,\n"
"                        or read from standard input if that is none.\n";

enum { ADDRESSES_MAX = 100 };

struct arguments {
	const char	*configuration;
	const char	*password_file;
	const char	*name;
	const char	*add[ADDRESSES_MAX], *take[ADDRESSES_MAX];
	size_t		 add_count, take_count;
	bool		 json;
};

static int usage(enum verb verb, const char *problem)
{
	return command_usage(prefix, &table[verb], problem);
}

static int take_address(enum verb verb, const char **list, size_t *count,
    const char *address)
{
	if (*count == ADDRESSES_MAX)
		return usage(verb, "so many addresses need two calls");
	list[(*count)++] = address;
	return -1;
}

static int take_option(enum verb verb, struct arguments *arguments,
    int letter, const char *word)
{
	static const char *const letters[VERBS] = { "chAP", "chP", "chAR",
	    "chj", "ch", "ch", "ch", "chP" };

	if (strchr(letters[verb], letter) == NULL)
		return command_wrong_option(prefix, &table[verb], word);
	switch (letter) {
	case 'c':
		arguments->configuration = optarg;
		return -1;
	case 'j':
		arguments->json = true;
		return -1;
	case 'P':
		arguments->password_file = optarg;
		return -1;
	case 'A':
		return take_address(verb, arguments->add,
		    &arguments->add_count, optarg);
	case 'R':
		return take_address(verb, arguments->take,
		    &arguments->take_count, optarg);
	default:
		printf("usage: %s %s %s\n\n%s\n%s", prefix, table[verb].name,
		    table[verb].arguments, table[verb].summary, help);
		return CONTROL_OK;
	}
}

/* -1: go on; else the exit status. */
static int read_arguments(enum verb verb, struct arguments *arguments,
    int argc, char **argv)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ "address", required_argument, NULL, 'A' },
		{ "add", required_argument, NULL, 'A' },
		{ "remove", required_argument, NULL, 'R' },
		{ "password-file", required_argument, NULL, 'P' },
		{ NULL, 0, NULL, 0 }
	};
	int letter, status = -1;

	memset(arguments, 0, sizeof(*arguments));
	arguments->configuration = POSTERN_SYSCONFDIR "/postern.conf";
	optind = 1;
	opterr = 0;
	while (status == -1 && (letter = getopt_long(argc, argv, "c:jh",
	    longs, NULL)) != -1)
		status = take_option(verb, arguments, letter,
		    argv[optind - 1]);
	if (status != -1)
		return status;
	if (verb == LIST)
		return optind == argc ? -1 : usage(verb,
		    "no operand is expected");
	if (argc - optind != 1)
		return usage(verb, "the name of one user is expected");
	if (verb == ADDRESS && arguments->add_count + arguments->take_count
	    == 0)
		return usage(verb, "--add or --remove is expected; "
		    "`postern user list` shows what is there");
	arguments->name = argv[optind];
	return -1;
}

static struct accounts *read_accounts(const struct kept_file *file)
{
	char error[512];
	struct accounts *accounts;

	if (file->length == 0)
		return accounts_new();
	accounts = accounts_parse(file->path, file->text, file->length, error,
	    sizeof(error));
	if (accounts == NULL)
		fprintf(stderr, "postern: %s\n", error);
	return accounts;
}

static int write_accounts(const struct kept_file *file,
    const struct accounts *accounts)
{
	int status = CONTROL_OUTPUT;
	struct buf out;

	buf_init(&out, ACCOUNTS_FILE_MAX);
	if (accounts_print(accounts, &out) == -1)
		fprintf(stderr, "postern: %s would be too large\n",
		    file->path);
	else if (kept_file_write(file, buf_data(&out), buf_length(&out)) == 0)
		status = CONTROL_OK;
	buf_wipe(&out);
	return status;
}

/* A server that does not run reads it when it starts. */
static int tell_server(const struct conf *conf)
{
	int error = control_client_try(conf);

	if (error == ENOENT || error == ECONNREFUSED) {
		printf("no server is running: it holds from its next start\n");
		return CONTROL_OK;
	}
	return control_client_tell(conf, CONTROL_RELOAD, NULL, NULL);
}

/* --- changes, to what was read under the lock --- */

static int no_such_user(const char *name)
{
	fprintf(stderr, "postern: there is no user %s; `postern user list` "
	    "shows all\n", name);
	return CONTROL_DATA;
}

static int set_password(struct account *account, const char *password)
{
	if (account_set_password(account, password) == 0)
		return CONTROL_OK;
	fprintf(stderr, "postern: this cannot be a password: it is UTF-8 "
	    "without control characters, up to %d bytes\n",
	    PASSWORD_INPUT_MAX);
	return CONTROL_DATA;
}

static int add_addresses(struct account *account,
    const struct arguments *arguments)
{
	for (size_t i = 0; i < arguments->add_count; i++) {
		if (account_add_address(account, arguments->add[i]))
			continue;
		fprintf(stderr, "postern: \"%.200s\" is not local@domain, "
		    "@domain or *\n", arguments->add[i]);
		return CONTROL_DATA;
	}
	return CONTROL_OK;
}

/* Alice and alice@ the first domain are one person, who logs in by one name
 * and not by the other: two accounts would be a mistake. */
static const struct account *find_either(const struct accounts *accounts,
    const struct conf *conf, const char *name)
{
	const struct account *found = accounts_find(accounts, name);
	const char *at = strchr(name, '@');
	char *other;

	if (found != NULL || conf->domain_count == 0 || (at != NULL &&
	    strcasecmp(at + 1, conf->domains[0].name) != 0))
		return found;
	other = at == NULL ? mem_print("%s@%s", name, conf->domains[0].name) :
	    mem_print("%.*s", (int)(at - name), name);
	found = accounts_find(accounts, other);
	mem_free(other);
	return found;
}

/* -1: the name is free; else the exit status. */
static int refuse_twice(const struct accounts *accounts,
    const struct conf *conf, const char *name)
{
	const struct account *there = find_either(accounts, conf, name);

	if (there == NULL)
		return -1;
	fprintf(stderr, "postern: there is a user %s already; `postern user "
	    "passwd` gives a new password\n", there->name);
	return CONTROL_DATA;
}

static int change_add(struct accounts *accounts, const struct conf *conf,
    const struct arguments *arguments, const char *password)
{
	int status = refuse_twice(accounts, conf, arguments->name);
	struct account *account;

	if (status != -1)
		return status;
	account = accounts_add(accounts, arguments->name);
	if (account == NULL) {
		fprintf(stderr, "postern: \"%.200s\" cannot be a name: an "
		    "address without quotes is expected, or a local part\n",
		    arguments->name);
		return CONTROL_DATA;
	}
	status = add_addresses(account, arguments);
	return status == CONTROL_OK ? set_password(account, password) :
	    status;
}

static int change_address(struct account *account,
    const struct arguments *arguments)
{
	for (size_t i = 0; i < arguments->take_count; i++) {
		if (account_remove_address(account, arguments->take[i]))
			continue;
		fprintf(stderr, "postern: %.200s is not listed for %s\n",
		    arguments->take[i], account->name);
		return CONTROL_DATA;
	}
	return add_addresses(account, arguments);
}

static int change(enum verb verb, struct accounts *accounts,
    const struct conf *conf, const struct arguments *arguments,
    const char *password)
{
	struct account *account;

	if (verb == ADD)
		return change_add(accounts, conf, arguments, password);
	account = accounts_find(accounts, arguments->name);
	if (account == NULL)
		return no_such_user(arguments->name);
	switch (verb) {
	case PASSWORD:
		return set_password(account, password);
	case ADDRESS:
		return change_address(account, arguments);
	case DISABLE:
	case ENABLE:
		account->disabled = verb == DISABLE;
		return CONTROL_OK;
	default:
		accounts_remove(accounts, account);
		return CONTROL_OK;
	}
}

static int change_file(enum verb verb, const struct conf *conf,
    const struct arguments *arguments, const char *password)
{
	int status = CONTROL_DATA;
	struct accounts *accounts;
	struct kept_file file;

	if (kept_file_begin(&file, conf, conf->accounts_file) != 0)
		return status;
	accounts = read_accounts(&file);
	if (accounts != NULL)
		status = change(verb, accounts, conf, arguments,
		    password);
	if (status == CONTROL_OK)
		status = write_accounts(&file, accounts);
	accounts_free(accounts);
	kept_file_end(&file);
	return status == CONTROL_OK ? tell_server(conf) : status;
}

/* Before somebody types a password twice in vain; change() looks again, under
 * the lock. -1: go on; else the exit status. */
static int look_first(enum verb verb, const struct conf *conf,
    const char *name)
{
	int status = CONTROL_DATA;
	struct accounts *accounts;
	struct kept_file file;

	if (kept_file_read(&file, conf->accounts_file) != 0)
		return status;
	accounts = read_accounts(&file);
	if (accounts != NULL && verb == ADD)
		status = refuse_twice(accounts, conf, name);
	else if (accounts != NULL)
		status = accounts_find(accounts, name) != NULL ? -1 :
		    no_such_user(name);
	accounts_free(accounts);
	kept_file_end(&file);
	return status;
}

static char *ask(const struct arguments *arguments)
{
	return password_input(arguments->password_file, "Password: ", true);
}

static int run_change(enum verb verb, int argc, char **argv)
{
	bool needs_password = verb == ADD || verb == PASSWORD;
	struct arguments arguments;
	char *password = NULL;
	struct conf *conf;
	int status = read_arguments(verb, &arguments, argc, argv);

	if (status != -1)
		return status;
	conf = control_client_conf(arguments.configuration);
	if (conf == NULL)
		return CONTROL_CONFIG;
	if (needs_password)
		status = look_first(verb, conf, arguments.name);
	if (status == -1 && needs_password &&
	    (password = ask(&arguments)) == NULL)
		status = CONTROL_DATA;
	if (status == -1)
		status = change_file(verb, conf, &arguments, password);
	mem_free_secret(password);
	conf_free(conf);
	return status;
}

static int run_add(int argc, char **argv)
{
	return run_change(ADD, argc, argv);
}

static int run_password(int argc, char **argv)
{
	return run_change(PASSWORD, argc, argv);
}

static int run_address(int argc, char **argv)
{
	return run_change(ADDRESS, argc, argv);
}

static int run_disable(int argc, char **argv)
{
	return run_change(DISABLE, argc, argv);
}

static int run_enable(int argc, char **argv)
{
	return run_change(ENABLE, argc, argv);
}

static int run_remove(int argc, char **argv)
{
	return run_change(REMOVE, argc, argv);
}

/* --- list --- */

static void print_json(const struct account *account)
{
	json_t *addresses = json_array(), *object;

	for (size_t i = 0; i < account->address_count; i++)
		json_array_append_new(addresses,
		    json_string(account->addresses[i]));
	object = json_pack("{s:s s:b s:b s:b s:o}", "name", account->name,
	    "disabled", account->disabled, "password",
	    account->password != NULL, "scram",
	    account->scram.salt_length > 0, "addresses", addresses);
	text_print_json(object);
	json_decref(object);
}

static void print_line(const struct account *account)
{
	text_print(account->name, 32);
	printf(" %-8s", account->disabled ? "disabled" :
	    account->password == NULL ? "-" : "active");
	for (size_t i = 0; i < account->address_count; i++) {
		putchar(' ');
		text_print(account->addresses[i], 0);
	}
	putchar('\n');
}

static int list_file(const struct conf *conf, bool json)
{
	int status = CONTROL_DATA;
	struct accounts *accounts;
	struct kept_file file;

	if (kept_file_read(&file, conf->accounts_file) != 0)
		return status;
	accounts = read_accounts(&file);
	for (size_t i = 0; accounts != NULL && i < accounts_count(accounts);
	    i++) {
		if (json)
			print_json(accounts_get(accounts, i));
		else
			print_line(accounts_get(accounts, i));
	}
	if (accounts != NULL)
		status = CONTROL_OK;
	accounts_free(accounts);
	kept_file_end(&file);
	return status;
}

static int run_list(int argc, char **argv)
{
	struct arguments arguments;
	struct conf *conf;
	int status = read_arguments(LIST, &arguments, argc, argv);

	if (status != -1)
		return status;
	conf = control_client_conf(arguments.configuration);
	if (conf == NULL)
		return CONTROL_CONFIG;
	status = list_file(conf, arguments.json);
	conf_free(conf);
	return command_end(status);
}

/* --- test --- */

static int judge(const struct account *account, const char *password)
{
	char prepared[SCRAM_PASSWORD_MAX + 1];
	bool right = account->password != NULL &&
	    scram_prepare(prepared, sizeof(prepared), password) == 0 &&
	    password_is_right(prepared, account->password);

	mem_wipe(prepared, sizeof(prepared));
	printf("%s%s\n", right ? "this is the password" :
	    "this is not the password", account->disabled ?
	    "; the account is disabled" : "");
	return right && !account->disabled ? CONTROL_OK : CONTROL_DATA;
}

static int test_file(const struct conf *conf,
    const struct arguments *arguments, const char *password)
{
	int status = CONTROL_DATA;
	const struct account *account;
	struct accounts *accounts;
	struct kept_file file;

	if (kept_file_read(&file, conf->accounts_file) != 0)
		return status;
	accounts = read_accounts(&file);
	if (accounts != NULL) {
		account = accounts_find(accounts, arguments->name);
		status = account == NULL ? no_such_user(arguments->name) :
		    judge(account, password);
	}
	accounts_free(accounts);
	kept_file_end(&file);
	return status;
}

static int run_test(int argc, char **argv)
{
	struct arguments arguments;
	struct conf *conf;
	char *password;
	int status = read_arguments(TEST, &arguments, argc, argv);

	if (status != -1)
		return status;
	conf = control_client_conf(arguments.configuration);
	if (conf == NULL)
		return CONTROL_CONFIG;
	password = password_input(arguments.password_file, "Password: ",
	    false);
	status = password == NULL ? CONTROL_DATA :
	    test_file(conf, &arguments, password);
	mem_free_secret(password);
	conf_free(conf);
	return command_end(status);
}

int command_user(int argc, char **argv)
{
	return command_dispatch(prefix, table, VERBS, argc, argv);
}
