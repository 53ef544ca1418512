// npm's bittorrent-tracker as a client: INFO_HASH URL. It starts, scrapes, completes, scrapes, stops.
import { pathToFileURL } from "node:url";

// It is installed in the folder that NODE_PATH names, which imports of modules do not look at.
const found = process.env.NODE_PATH + "/bittorrent-tracker/client.js";
const { default: Client } = await import(pathToFileURL(found));

const [infoHash, announce] = process.argv.slice(2);
const client = new Client({ infoHash, announce, peerId: "2d4e50303030302d" + "30".repeat(12), port: 7001 });
const tell = (what) => console.log(JSON.stringify(what));
const heard = (event) => new Promise((resolve) => client.once(event, resolve));
client.on("error", (error) => { console.error(error); process.exit(1); });
client.on("warning", (error) => { console.error(error); process.exit(1); });
client.on("peer", (peer) => { if (!peer.endsWith(":7001")) tell({ peer }); });

const counts = ({ complete, incomplete, downloaded }, all) =>
  all ? [complete, incomplete, downloaded] : [complete, incomplete];
let answer = heard("update");
client.start({ left: 9 });
tell({ update: counts(await answer) });
answer = heard("scrape");
client.scrape();
tell({ scrape: counts(await answer, true) });
answer = heard("update");
client.complete({ left: 0, numwant: 0 });
tell({ update: counts(await answer) });
answer = heard("scrape");
client.scrape();
tell({ scrape: counts(await answer, true) });
answer = heard("update");
client.stop();
await answer;
client.destroy();
