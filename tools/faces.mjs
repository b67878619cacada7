// Draws pixel faces for tools/make_faces.py: node faces.mjs COUNT OUT writes OUT/pixels.bin, COUNT x
// 16 x 16 x 3 bytes, and OUT/attributes.json. Needs, from npm: @dicebear/core@9.4.3,
// @dicebear/pixel-art@9.4.3 (design CC0 1.0, code MIT) and @resvg/resvg-js@2.6.2.
import { writeFileSync } from 'fs';
import { createAvatar } from '@dicebear/core';
import * as style from '@dicebear/pixel-art';
import { Resvg } from '@resvg/resvg-js';

const [count, out] = [Number(process.argv[2]), process.argv[3]];
const parts = style.schema.properties;
const HAIR = ['28150a', '83623b', 'cab188', 'bd1700', '009bbd'];
const SKIN = ['ffdbac', 'e0b687', 'b68655', '8d5524'];
const PAPER = ['b6e3f4', 'c0aede', 'ffd5dc', 'ffdfbf'];

let state = 20261129; // mulberry32
function uniform() {
  state = (state + 0x6d2b79f5) >>> 0;
  let t = Math.imul(state ^ (state >>> 15), state | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}
const one = (from) => from[Math.floor(uniform() * from.length)];
const of = (part, kind = '') => one(parts[part].default.filter((name) => name.startsWith(kind)));

function draw(options) {
  const svg = createAvatar(style, { seed: 'face', size: 16, accessoriesProbability: 0, ...options });
  const rgba = new Resvg(svg.toString()).render().pixels;
  return Buffer.from(rgba.filter((_, i) => i % 4 < 3));
}
function differing(a, b) {
  let pixels = 0;
  for (let i = 0; i < a.length; i += 3) pixels += a.compare(b, i, i + 3, i, i + 3) !== 0;
  return pixels;
}

const pixels = Buffer.alloc(count * 768), attributes = [], seen = new Set();
while (attributes.length < count) {
  const long = uniform() < 0.5, hair = Math.floor(uniform() * HAIR.length);
  const skin = Math.floor(uniform() * SKIN.length), paper = Math.floor(uniform() * PAPER.length);
  const glasses = uniform() < 0.25, hat = uniform() < 0.2;
  const options = {
    backgroundColor: [PAPER[paper]], backgroundType: ['solid'],
    hair: [of('hair', long ? 'long' : 'short')], hairColor: [HAIR[hair]], skinColor: [SKIN[skin]],
    glasses: [of('glasses')], glassesColor: [of('glassesColor')], glassesProbability: glasses ? 100 : 0,
    hat: [of('hat')], hatColor: [of('hatColor')], hatProbability: hat ? 100 : 0,
    beardProbability: 0, mouth: [of('mouth')], mouthColor: [of('mouthColor')],
    eyes: [of('eyes')], eyesColor: [of('eyesColor')],
    clothing: [of('clothing')], clothingColor: [of('clothingColor')],
  };
  const face = draw(options), key = face.toString('latin1');
  // what an attribute says must be seen: hair under a hat may not be
  if (seen.has(key) || differing(face, draw({ ...options, hairColor: ['ffffff'] })) < 10) continue;
  seen.add(key);
  face.copy(pixels, attributes.length * 768);
  attributes.push([+long, hair, skin, +glasses, +hat, paper]);
}
writeFileSync(`${out}/pixels.bin`, pixels);
writeFileSync(`${out}/attributes.json`, JSON.stringify(attributes));
