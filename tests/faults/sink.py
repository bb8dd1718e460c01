# SPDX-License-Identifier: ISC
"""The server that the mail goes to. Nobody harms it, and it remembers all it
was told: with the client's notes it is the ledger outside of the faulted
tree."""
import re
import socket
import ssl
import threading


class Sink:
    """What is answered depends on the recipient: nobody@ is refused for good,
    later@ the first time only, never@ always for now."""

    def __init__(self, certificate):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate.chain, certificate.key)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=50)
        self.port = self.listener.getsockname()[1]
        self.door = threading.Event()     # cleared: nobody is greeted
        self.reset()
        threading.Thread(target=self.run, daemon=True).start()

    def reset(self):
        self.receipts = []     # (recipients, message), what we said 250 to
        self.clear = []        # MAIL commands without TLS
        self.asked = []        # recipients of RCPT commands
        self.door.set()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,),
                             daemon=True).start()

    def serve(self, connection):
        try:
            connection.settimeout(20)
            self.door.wait(20)
            connection.sendall(b"220 mx.example.net ESMTP\r\n")
            self.talk(connection, connection.makefile("rb"), False)
        except (OSError, ValueError):
            pass        # the other side went away, as it often does here
        finally:
            connection.close()

    def recipient(self, address):
        self.asked.append(address)
        local = address.split("@")[0]
        if local == "nobody":
            return b"550 5.1.1 there is none\r\n"
        if local == "never" or (local == "later" and
                                self.asked.count(address) == 1):
            return b"451 4.2.0 not now\r\n"
        return b"250 2.1.5 fine\r\n"

    def talk(self, connection, stream, secure):
        recipients = []
        while True:
            line = stream.readline()
            verb = line[:4].upper()
            if not line or verb == b"QUIT":
                return
            if verb == b"EHLO":
                connection.sendall(
                    b"250-mx.example.net\r\n250-PIPELINING\r\n" +
                    (b"" if secure else b"250-STARTTLS\r\n") +
                    b"250-SIZE 50000000\r\n250-8BITMIME\r\n"
                    b"250 ENHANCEDSTATUSCODES\r\n")
            elif verb == b"STAR":
                connection.sendall(b"220 go ahead\r\n")
                connection = self.context.wrap_socket(connection,
                                                      server_side=True)
                stream, secure = connection.makefile("rb"), True
            elif verb == b"RCPT":
                address = re.search(rb"<(.*?)>", line).group(1).decode()
                answer = self.recipient(address)
                if answer.startswith(b"250"):
                    recipients.append(address)
                connection.sendall(answer)
            elif verb == b"DATA":
                if not recipients:
                    connection.sendall(b"554 5.5.1 no recipients\r\n")
                    continue
                connection.sendall(b"354 go on\r\n")
                lines = []
                while (more := stream.readline()) != b".\r\n":
                    if not more:
                        return
                    lines.append(more[1:] if more.startswith(b".") else more)
                # written down first: the reply may get lost
                self.receipts.append((recipients, b"".join(lines)))
                connection.sendall(b"250 2.0.0 taken\r\n")
                recipients = []
            else:
                if verb == b"MAIL":
                    recipients = []
                    if not secure:
                        self.clear.append(line)
                connection.sendall(b"250 2.0.0 fine\r\n")

    def close(self):
        self.listener.close()
