/* SPDX-License-Identifier: ISC */
/*
 * postern relay: allow, list, revoke. The list of client certificates that may
 * send to any domain is relay-certificates-file; smtpd/certificates.h says
 * what a line is. A server that runs is told at once: a right that was taken
 * away ends with it, in sessions under way, too.
 */
#include "tools/command.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/control.h"
#include "base/digest.h"
#include "base/mem.h"
#include "base/tls.h"
#include "config.h"
#include "conf/bundle.h"
#include "conf/conf.h"
#include "smtpd/certificates.h"
#include "tools/command_text.h"
#include "tools/control_client.h"
#include "tools/kept_file.h"

static int	run_allow(int argc, char **argv);
static int	run_list(int argc, char **argv);
static int	run_revoke(int argc, char **argv);

static const struct command table[] = {
	{ "allow", "--cert FILE | --fingerprint HEX | --key-digest HEX "
	    "--name NAME [-c FILE]", "let clients with this certificate, or "
	    "with this key, send to any domain", run_allow },
	{ "list", "[-j] [-c FILE]", "the certificates that may", run_list },
	{ "revoke", "NAME [-c FILE]", "take the right away again", run_revoke },
};
enum verb { ALLOW, LIST, REVOKE, VERBS };

static const char prefix[] = "postern relay";

static const char allow_help[] =
"  --cert FILE        the client's certificate (PEM): its fingerprint is\n"
"                     taken, so a renewed one has to be allowed again\n"
"  --fingerprint HEX  SHA-256 of a certificate, as `openssl x509 -fingerprint\n"
"                     -sha256` shows it\n"
"  --key-digest HEX   SHA-256 of the public key (SubjectPublicKeyInfo), which\n"
"                     outlives renewals that keep the key\n"
"  --name NAME        whose it is: letters, digits, . _ - @; shown in the log\n"
"Listeners ask for certificates with client-certificates = yes.\n";

struct arguments {
	const char	*configuration;
	const char	*certificate, *fingerprint, *key_digest, *name;
	bool		 json;
};

/* -1: go on; else the exit status. */
static int read_arguments(enum verb verb, struct arguments *arguments,
    int *argc, char ***argv)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ "cert", required_argument, NULL, 'C' },
		{ "fingerprint", required_argument, NULL, 'F' },
		{ "key-digest", required_argument, NULL, 'K' },
		{ "name", required_argument, NULL, 'N' },
		{ NULL, 0, NULL, 0 }
	};
	static const char *const letters[VERBS] = { "chCFKN", "cjh", "ch" };
	int letter;

	memset(arguments, 0, sizeof(*arguments));
	arguments->configuration = POSTERN_SYSCONFDIR "/postern.conf";
	optind = 1;
	opterr = 0;
	while ((letter = getopt_long(*argc, *argv, "c:jh", longs,
	    NULL)) != -1) {
		if (strchr(letters[verb], letter) == NULL)
			return command_wrong_option(prefix, &table[verb],
			    (*argv)[optind - 1]);
		switch (letter) {
		case 'c': arguments->configuration = optarg; break;
		case 'j': arguments->json = true; break;
		case 'C': arguments->certificate = optarg; break;
		case 'F': arguments->fingerprint = optarg; break;
		case 'K': arguments->key_digest = optarg; break;
		case 'N': arguments->name = optarg; break;
		default:
			printf("usage: %s %s %s\n\n%s\n%s", prefix,
			    table[verb].name, table[verb].arguments,
			    table[verb].summary,
			    verb == ALLOW ? allow_help : "");
			return CONTROL_OK;
		}
	}
	*argc -= optind;
	*argv += optind;
	return -1;
}

/* Into an empty list; a sentence on stderr if the file is not right. */
static int read_list(struct certificates *list, const struct kept_file *file)
{
	char error[512];

	certificates_init(list);
	if (certificates_read(list, file->path, file->text, error,
	    sizeof(error)) == 0)
		return 0;
	fprintf(stderr, "postern: %s\n", error);
	return -1;
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

/* --- allow --- */

static int usage(enum verb verb, const char *problem)
{
	return command_usage(prefix, &table[verb], problem);
}

static int read_digest(struct certificate_entry *entry,
    enum certificate_kind kind, const char *text)
{
	entry->kind = kind;
	if (hex_parse(entry->digest, sizeof(entry->digest), text) ==
	    DIGEST_BYTES)
		return -1;
	return usage(ALLOW, "a digest is SHA-256 in hexadecimal: 64 digits");
}

static int read_certificate(struct certificate_entry *entry, const char *path)
{
	struct tls_shown shown;
	char *errors = NULL;
	char *text = bundle_read_text(path, &errors);
	int result = -1;

	if (text == NULL) {
		control_client_complain(errors);
		result = CONTROL_DATA;
	} else if (tls_certificate_read(text, &shown) != 0) {
		fprintf(stderr, "postern: there is no certificate in PEM form "
		    "in %s\n", path);
		result = CONTROL_DATA;
	} else {
		entry->kind = CERTIFICATE_WHOLE;
		memcpy(entry->digest, shown.certificate_digest, DIGEST_BYTES);
	}
	mem_free(errors);
	mem_free(text);
	return result;
}

/* -1: go on; else the exit status. */
static int make_entry(struct certificate_entry *entry,
    const struct arguments *arguments)
{
	int given = (arguments->certificate != NULL) +
	    (arguments->fingerprint != NULL) + (arguments->key_digest != NULL);

	memset(entry, 0, sizeof(*entry));
	if (given != 1)
		return usage(ALLOW, "which certificate? one of --cert, "
		    "--fingerprint and --key-digest is needed");
	if (arguments->name == NULL || !certificate_is_name(arguments->name))
		return usage(ALLOW, "whose is it? --name needs 1 to 63 "
		    "letters, digits and any of . _ - @");
	snprintf(entry->name, sizeof(entry->name), "%s", arguments->name);
	if (arguments->certificate != NULL)
		return read_certificate(entry, arguments->certificate);
	if (arguments->fingerprint != NULL)
		return read_digest(entry, CERTIFICATE_WHOLE,
		    arguments->fingerprint);
	return read_digest(entry, CERTIFICATE_KEY, arguments->key_digest);
}

/* The file with a line more, when it is right with it. */
static int add_line(const struct kept_file *file,
    const struct certificate_entry *entry)
{
	bool open_line = file->length > 0 &&
	    file->text[file->length - 1] != '\n';
	struct certificates list;
	char line[192], error[512];
	char *text;
	int result = CONTROL_OK;

	certificate_format(entry, line, sizeof(line));
	text = mem_print("%s%s%s", file->text, open_line ? "\n" : "", line);
	certificates_init(&list);
	if (certificates_read(&list, file->path, text, error,
	    sizeof(error)) != 0) {
		fprintf(stderr, "postern: not allowed: %s\n", error);
		result = CONTROL_DATA;
	} else if (kept_file_write(file, text, strlen(text)) != 0) {
		result = CONTROL_OUTPUT;
	}
	certificates_release(&list);
	mem_free(text);
	return result;
}

static int run_allow(int argc, char **argv)
{
	struct certificate_entry entry;
	struct arguments arguments;
	struct kept_file file;
	struct conf *conf;
	int status = read_arguments(ALLOW, &arguments, &argc, &argv);

	if (status == -1 && argc > 0)
		status = usage(ALLOW, "no operand is expected");
	if (status == -1)
		status = make_entry(&entry, &arguments);
	if (status != -1)
		return status;
	conf = control_client_conf(arguments.configuration);
	if (conf == NULL)
		return CONTROL_CONFIG;
	if (kept_file_begin(&file, conf, conf->relay_certificates_file) != 0) {
		conf_free(conf);
		return CONTROL_DATA;
	}
	status = add_line(&file, &entry);
	kept_file_end(&file);
	if (status == CONTROL_OK)
		status = tell_server(conf);
	conf_free(conf);
	return status;
}

/* --- list --- */

static void print_entry(const struct certificate_entry *entry, bool json)
{
	char digest[2 * DIGEST_BYTES + 1];
	const char *kind = entry->kind == CERTIFICATE_KEY ? "key" :
	    "certificate";
	json_t *object;

	hex_format(entry->digest, DIGEST_BYTES, digest, sizeof(digest));
	if (!json) {
		printf("%-24s %-11s %s\n", entry->name, kind, digest);
		return;
	}
	object = json_pack("{s:s s:s s:s}", "name", entry->name, "kind", kind,
	    "digest", digest);
	text_print_json(object);
	json_decref(object);
}

static int run_list(int argc, char **argv)
{
	struct arguments arguments;
	struct certificates list;
	struct kept_file file;
	struct conf *conf;
	int status = read_arguments(LIST, &arguments, &argc, &argv);

	if (status == -1 && argc > 0)
		status = usage(LIST, "no operand is expected");
	if (status != -1)
		return status;
	conf = control_client_conf(arguments.configuration);
	if (conf == NULL)
		return CONTROL_CONFIG;
	status = CONTROL_DATA;
	if (kept_file_read(&file, conf->relay_certificates_file) == 0) {
		if (read_list(&list, &file) == 0) {
			for (size_t i = 0; i < list.count; i++)
				print_entry(&list.entries[i], arguments.json);
			status = CONTROL_OK;
		}
		certificates_release(&list);
		kept_file_end(&file);
	}
	conf_free(conf);
	return command_end(status);
}

/* --- revoke --- */

/* The line of that name; others, and comments, stay as they are. */
static bool is_line_of(const char *line, size_t length, const char *name)
{
	struct certificates list;
	char *text = mem_print("%.*s", (int)length, line);
	char error[512];
	bool found;

	certificates_init(&list);
	found = certificates_read(&list, "", text, error, sizeof(error)) == 0 &&
	    certificates_named(&list, name) != NULL;
	certificates_release(&list);
	mem_free(text);
	return found;
}

static int take_line(const struct kept_file *file, const char *name)
{
	const char *line = file->text;
	struct buf out;
	int result;

	buf_init(&out, KEPT_FILE_MAX);
	while (*line != '\0') {
		size_t length = strcspn(line, "\n");

		length += line[length] == '\n';
		if (!is_line_of(line, length, name))
			(void)buf_add(&out, line, length);
		line += length;
	}
	result = kept_file_write(file, buf_data(&out), buf_length(&out));
	buf_release(&out);
	return result == 0 ? CONTROL_OK : CONTROL_OUTPUT;
}

static int revoke(const struct conf *conf, const char *name)
{
	struct certificates list;
	struct kept_file file;
	int status = CONTROL_DATA;

	if (kept_file_begin(&file, conf, conf->relay_certificates_file) != 0)
		return status;
	if (read_list(&list, &file) != 0) {
		kept_file_end(&file);
		return status;
	}
	if (certificates_named(&list, name) != NULL)
		status = take_line(&file, name);
	else
		fprintf(stderr, "postern: nobody is listed as %s\n", name);
	certificates_release(&list);
	kept_file_end(&file);
	return status;
}

static int run_revoke(int argc, char **argv)
{
	struct arguments arguments;
	struct conf *conf;
	int status = read_arguments(REVOKE, &arguments, &argc, &argv);

	if (status == -1 && (argc != 1 || !certificate_is_name(argv[0])))
		status = usage(REVOKE, "one name is expected, as `postern "
		    "relay list` shows it");
	if (status != -1)
		return status;
	conf = control_client_conf(arguments.configuration);
	if (conf == NULL)
		return CONTROL_CONFIG;
	status = revoke(conf, argv[0]);
	if (status == CONTROL_OK)
		status = tell_server(conf);
	conf_free(conf);
	return status;
}

int command_relay(int argc, char **argv)
{
	return command_dispatch(prefix, table, sizeof(table) /
	    sizeof(table[0]), argc, argv);
}
