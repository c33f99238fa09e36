// A minimal SIP phone over UDP: it subscribes to lamps and answers each NOTIFY with 200.

import { createSocket } from "node:dgram";
import { randomBytes } from "node:crypto";

export class Phone {
  constructor(user, domain, serverPort, agent) {
    Object.assign(this, { user, domain, serverPort, agent, notifies: 0, answers: [] });
    this.socket = createSocket("udp4");
    this.socket.on("message", (octets, from) => this.hear(octets.toString(), from));
  }

  ready() {
    return new Promise((resolve) => this.socket.bind(0, "127.0.0.1", () => resolve(this)));
  }

  subscribe(target, { expires = 3600, event = "dialog" } = {}) {
    const id = randomBytes(6).toString("hex");
    const { port } = this.socket.address();
    const lines = [
      `SUBSCRIBE sip:${target}@${this.domain} SIP/2.0`,
      `Via: SIP/2.0/UDP 127.0.0.1:${port};branch=z9hG4bK${id};rport`,
      "Max-Forwards: 70",
      `From: <sip:${this.user}@${this.domain}>;tag=${id}`,
      `To: <sip:${target}@${this.domain}>`,
      `Call-ID: ${id}`,
      "CSeq: 1 SUBSCRIBE",
      `Contact: <sip:${this.user}@127.0.0.1:${port}>`,
      `Event: ${event}`,
      `Expires: ${expires}`,
      `User-Agent: ${this.agent}`,
      "Content-Length: 0",
    ];
    this.send(lines);
  }

  hear(message, from) {
    if (!message.startsWith("NOTIFY ")) {
      this.answers.push(Number(message.slice(8, 11)));
      return;
    }
    this.notifies += 1;
    const copied = message.split("\r\n\r\n")[0].split("\r\n").filter((line) => /^(Via|From|To|Call-ID|CSeq):/i.test(line));
    this.send(["SIP/2.0 200 OK", ...copied, "Content-Length: 0"], from.port);
  }

  send(lines, port = this.serverPort) {
    this.socket.send(`${lines.join("\r\n")}\r\n\r\n`, port, "127.0.0.1");
  }

  close() {
    this.socket.close();
  }
}
