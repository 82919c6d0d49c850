// BullMQ: `bullmq_program.cjs work`, and the producer as the Python peers have it (marks.py).
const { Queue, Worker } = require('bullmq');
const fs = require('fs');

const { BENCH_FOLDER: folder, BENCH_PORT: port, BENCH_CONCURRENCY: concurrency } = process.env;
const connection = { host: '127.0.0.1', port: Number(port) };
const SLOT_BYTES = 24, CHUNK = 1000, CROWD = 100;
const now = () => (performance.timeOrigin + performance.now()) / 1000;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

let count = 0, first = 0, last = 0;
const mark = () => { last = now(); if (!count++) first = last; };
const log = (...words) => fs.appendFileSync(folder + '/log', words.join(' ') + '\n');

const handlers = {
  noop: async () => mark(),
  latency: async (sent) => log('L', now() - sent),
  sleep: async () => { await pause(50); mark(); },
  crash: async (number) => {
    log('S', number, now(), process.pid);
    await pause(200);
    log('E', number, now(), process.pid);
  },
};

const argument = (kind, number) => kind === 'latency' ? now() : kind !== 'noop' ? number :
  { id: number, email: 'someone@example.org', template: 'welcome', lang: 'en_GB', tags: ['a', 'b'] };

function work() {
  const slots = fs.openSync(folder + '/slots', 'r+'), slot = Buffer.alloc(SLOT_BYTES);
  setInterval(() => {  // every 20 ms, so that a task costs no system call
    if (!count) return;
    slot.writeDoubleLE(first, 0);
    slot.writeDoubleLE(last, 8);
    slot.writeBigInt64LE(BigInt(count), 16);
    fs.writeSync(slots, slot, 0, SLOT_BYTES, process.pid % 4096 * SLOT_BYTES);
  }, 20);
  new Worker('b', (job) => handlers[job.name](job.data.value), { connection, concurrency: Number(concurrency) });
}

async function produce(kind, total, mode, rate) {
  const queue = new Queue('b', { connection, defaultJobOptions: { removeOnComplete: true } });
  await queue.waitUntilReady();
  const one = (number) => queue.add(kind, { value: argument(kind, number) });
  const warm = rate ? 0 : Math.min(100, Math.floor(total / 10));
  for (let number = 0; number < warm; number++) await one(number);
  const start = performance.now();
  if (mode === 'many') {
    for (let from = warm; from < total; from += CHUNK) {
      const length = Math.min(CHUNK, total - from);
      await queue.addBulk(Array.from({ length }, (_, i) => ({ name: kind, data: { value: argument(kind, from + i) } })));
    }
  } else if (mode === 'crowd') {
    await Promise.all(Array.from({ length: CROWD }, async (_, place) => {
      for (let number = warm + place; number < total; number += CROWD) await one(number);
    }));
  } else {
    const sent = [];
    for (let number = warm; number < total; number++) {
      const wait = rate ? start + number * 1000 / rate - performance.now() : 0;
      if (wait > 0) await pause(wait);
      if (rate) sent.push(one(number)); else await one(number);
    }
    await Promise.all(sent);
  }
  console.log(JSON.stringify({ tasks: total - warm, seconds: (performance.now() - start) / 1000 }));
  await queue.close();
}

const [, , what, kind, total, mode, rate] = process.argv;
if (what === 'work') work(); else produce(kind, Number(total), mode, Number(rate || 0));
