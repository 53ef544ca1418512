// One action of npm's @ctrl/transmission: HOST PORT ACTION ARGUMENTS; what it is told is printed.
import { createRequire } from "node:module";

// It is installed in the folder that NODE_PATH names, which imports of modules do not look at.
const { Transmission } = await import(
  createRequire(process.env.NODE_PATH + "/").resolve("@ctrl/transmission")
);

const [host, port, action, ...rest] = process.argv.slice(2);
const client = new Transmission({ baseUrl: `http://${host}:${port}`, username: "", password: "" });
const one = async (number, fields) =>
  (await client.listTorrents(Number(number), fields)).arguments.torrents[0];
switch (action) {
  case "add":
    console.log(JSON.stringify(await client.addMagnet(rest[0], { "download-dir": rest[1] })));
    break;
  case "list":
    for (const each of (await client.getAllData()).torrents)
      console.log(each.id, each.name, each.state, each.progress, each.dateAdded);
    break;
  case "files":
    for (const each of (await one(rest[0], ["files"])).files) console.log(each.name, each.length);
    break;
  case "peers":
    for (const each of (await one(rest[0], ["peers"])).peers)
      console.log(each.address, each.clientName, each.rateToClient);
    break;
  case "limit":
    await client.setTorrent(Number(rest[0]), {
      downloadLimit: Number(rest[1]),
      downloadLimited: true,
    });
    break;
  case "remove":
    await client.removeTorrent(Number(rest[0]), true);
    break;
}
