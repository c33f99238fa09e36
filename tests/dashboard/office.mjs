// Writes the configuration of an office: a domain of 5,000 people in groups, with orbits, resources and
// policies; and a small domain in the style of the Imagicle connector.

const { DATA, SIP_PORT, HTTP_PORT } = process.env;

const FIRST = "Anna Ben Clara David Emma Felix Greta Hugo Ida Jonas Klara Leon Mia Noah Olivia Paul Rosa Simon Tilda Viktor Yara Zoe Amir Bianca Carlo".split(" ");
const LAST = "Albrecht Baker Castillo Dubois Eriksen Fischer Garcia Hoffmann Ivanova Jansen Kowalski Lindqvist Moretti Novak Okafor Petersen Quinn Rossi Schmidt Tanaka Ueda Virtanen Weber Xu Young Zimmermann Brandt Costa".split(" ");
const GROUPS = ["Accounting", "Helpdesk", "Development", "Logistics", "Management", "Purchasing", "Sales", "Support"];

/** Spreads the names. */
const hash = (index, salt) => (Math.imul(index + salt, 2654435761) >>> 16) & 0xffff;

/** The people: 1000 to 5999. */
const people = Array.from({ length: 5000 }, (_, index) => {
  const name = `${FIRST[hash(index, 7) % FIRST.length]} ${LAST[hash(index, 3) % LAST.length]}`;
  return { user: String(1000 + index), name, group: GROUPS[index % (GROUPS.length + 1)] };
});

const line = (text) => process.stdout.write(`${text}\n`);
line(`[node]
data_dir = "${DATA}"
[[sip.listen]]
transport = "udp"
address = "127.0.0.1:${SIP_PORT}"
[http]
listen = ["127.0.0.1:${HTTP_PORT}"]
[store]
directory = "${DATA}"
[shield]
loop_rate = 20
exempt = []
[[domain]]
name = "example.com"
auth = "none"
open = true
orbits = ["700-705"]
resources = ["Door1"]
reveal_number = true
[[domain]]
name = "imagicle.test"
auth = "none"
composition = "imagicle"
[[policy]]
domain = "example.com"
watcher = "same-domain"
presentity = "*"
handling = "allow"
[[policy]]
domain = "example.com"
watcher = "anyone"
presentity = "5*"
handling = "polite-block"
privacy = 0`);
line(`[[connector]]\nname = "pbx"\ndomain = "example.com"`);
line(`[[connector]]\nname = "old-pbx"\ndomain = "example.com"\naddress = "192.0.2.1"\nenabled = false`);
for (const { user, name } of people) line(`[[account]]\nuser = "${user}"\ndomain = "example.com"\npassword = "secret${user}"\ndisplay = "${name}"`);
for (const [user, name] of [["200", "Lucia Bianchi"], ["201", "Marco Conti"], ["202", "Elena Greco"]]) line(`[[account]]\nuser = "${user}"\ndomain = "imagicle.test"\npassword = "secret"\ndisplay = "${name}"`);
for (const group of GROUPS) {
  const members = people.filter((person) => person.group === group).map((person) => `"${person.user}"`);
  line(`[[group]]\nname = "${group}"\ndomain = "example.com"\nmembers = [${members.join(", ")}]`);
}
