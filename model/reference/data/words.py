"""Word tables: what is near in meaning, what may be swapped for what, which words name a class.

In a row of NEAR every word is near every other.  In a row of SWAPS sets of equivalent words stand between bars; a swap goes
from a word of one set to the first of another, and only where no word of that other set is known to be true of the image.
"""
from functools import lru_cache

NEAR = [
    'cat, dog, rabbit, fox, wolf, hamster, kitten, puppy', 'horse, zebra, donkey, cow, pony, deer, goat, sheep, camel',
    'cow, bull, sheep, goat, pig, horse', 'elephant, giraffe, zebra, rhinoceros, hippopotamus, lion', 'bear, polar bear, panda, monkey, gorilla',
    'lion, tiger, leopard, cat, wolf', 'bird, duck, goose, swan, chicken, rooster, owl, penguin, parrot, pigeon, seagull, eagle',
    'fish, whale, shark, dolphin, octopus, seal, crab, goldfish', 'bee, butterfly, ladybug, spider, snail, ant, dragonfly',
    'snake, turtle, frog, lizard, crocodile, dinosaur',
    'car, truck, bus, van, taxi, suv, pickup truck, sports car, red car, blue car, minivan', 'truck, bus, train, fire engine, fire truck, tractor, trailer, tram, ambulance',
    'bicycle, motorcycle, scooter, skateboard, tricycle, moped', 'airplane, helicopter, jet, rocket, drone, kite, hot-air balloon',
    'boat, ship, sailboat, canoe, surfboard, ferry, kayak', 'train, subway, tram, bus',
    'bench, chair, couch, stool, armchair, sofa, rocking chair', 'chair, couch, bed, bench, sofa', 'dining table, desk, table, coffee table, nightstand, counter',
    'bed, couch, crib, mattress', 'cabinet, shelf, drawer, wardrobe, bookcase, cupboard, dresser', 'tv, laptop, monitor, computer, tablet, projector',
    'keyboard, mouse, remote, cell phone, laptop, printer', 'cell phone, remote, camera, telephone', 'microwave, oven, toaster, refrigerator, sink, dishwasher, stove',
    'sink, toilet, bathtub, shower, faucet', 'fork, knife, spoon, chopsticks, spatula', 'cup, wine glass, bottle, bowl, mug, glass, vase, pitcher, can, jar',
    'plate, bowl, tray, dish, pan, pot', 'vase, potted plant, flower, pot, bottle', 'backpack, handbag, suitcase, purse, briefcase, basket, luggage',
    'tie, scarf, necklace, belt, bow', 'hat, cap, helmet, crown, hood', 'umbrella, parasol, tent, kite',
    'shirt, jacket, coat, sweater, t-shirt, vest, blouse, hoodie', 'pants, jeans, shorts, skirt, trousers, dress', 'shoe, boot, sandal, sneaker, sock, slipper, high heel',
    'glasses, sunglasses, goggles, mask', 'glove, mitten, baseball glove', 'watch, bracelet, ring, necklace, earring',
    'skis, snowboard, surfboard, skateboard, sled', 'sports ball, frisbee, soccer ball, basketball, baseball, tennis ball, balloon, football',
    'baseball bat, tennis racket, golf club, hockey stick, baseball glove', 'traffic light, stop sign, street light, traffic sign, parking meter, fire hydrant',
    'stop sign, sign, billboard, poster', 'fire hydrant, parking meter, mailbox, trash can',
    'banana, apple, orange, pear, lemon, peach, mango', 'red apple, green apple, strawberry, cherry, tomato, orange', 'pineapple, watermelon, melon, mango, grape',
    'broccoli, carrot, corn, lettuce, cucumber, potato, tomato, mushroom, onion, pepper', 'pizza, hot dog, sandwich, hamburger, taco, burrito', 'donut, cake, cookie, pie, cupcake, bread, muffin',
    'clock, watch, mirror, picture, frame', 'book, magazine, newspaper, notebook, red book, green book, blue book', 'scissors, knife, pen, pencil, screwdriver',
    'teddy bear, doll, toy, puppet', 'hair drier, toothbrush, comb, razor, brush', 'guitar, violin, piano, trumpet, drum, saxophone, cello, flute',
    'key, lock, anchor, hammer, wrench', 'pillow, blanket, towel, cushion, curtain', 'lamp, candle, light, chandelier, lantern',
    'house, building, barn, tower, church, castle, hut', 'tree, bush, plant, flower, cactus, palm tree', 'sunflower, tulip, rose, daisy, cactus, tree',
    'gift, box, bag, crate, package', 'star, moon, sun, cloud', 'snowman, scarecrow, statue',
    'man, woman, boy, girl, child, baby', 'road, street, sidewalk, path, bridge', 'river, lake, sea, ocean, beach, pool', 'mountain, hill, cliff, rock, valley',
    'wall, fence, gate, railing', 'window, door, mirror, gate', 'monitor, tv, cabinet, picture']

SWAPS = {
    'noun': [
        'man, guy, gentleman, male, men, guys | woman, lady, female, women, ladies', 'boy, boys | girl, girls',
        'dog, puppy, dogs | cat, kitten, cats | horse, pony, horses | cow, cows | sheep, lamb | bird, birds',
        'car, cars | truck, trucks | bus, buses | van, vans | motorcycle, motorbike | bicycle, bike',
        'hat, hats | helmet, helmets', 'shirt, shirts, t-shirt | jacket, jackets, coat | sweater, sweaters | dress, dresses',
        'jeans, pants, trousers | shorts | skirt', 'sneakers | boots | sandals', 'guitar | violin | drum, drums | trumpet | piano', 'table, tables | chair, chairs | bench, benches | bed, beds | couch, sofa',
        'bottle, bottles | cup, cups, mug | bowl, bowls | vase', 'fork | knife | spoon', 'pizza | sandwich | cake | burger, hamburger', 'apple, apples | banana, bananas | pear, pears',
        'skateboard | surfboard | snowboard', 'ball | frisbee | kite', 'tree, trees | bush, bushes | flower, flowers', 'house, houses | church | tower | barn', 'river | lake | ocean, sea', 'laptop | phone, cellphone | camera | book, books',
        'umbrella, umbrellas | tent, tents', 'airplane, plane | helicopter', 'beach | street, road | field | forest, woods'],
    'attribute': [
        'red, maroon, crimson | blue, navy | green | yellow, gold, golden, blond, blonde | orange | purple, violet | pink | brown, tan, beige | black, dark | white | gray, grey, silver',
        'small, little, tiny | large, big, huge, tall, giant', 'young, youth | old, elderly, older', 'wooden, wood | metal, metallic, steel, iron | plastic | stone, brick, concrete',
        'striped | plaid, checkered, checked | spotted, dotted | floral', 'open | closed, shut', 'empty | full', 'wet | dry', 'standing | sitting, seated | lying, laying | kneeling, crouching',
        'walking | running, jogging', 'round | square | rectangular', 'clean | dirty', 'long | short', 'smiling | frowning, crying', 'sleeping, asleep | awake'],
    'number': ['two, both | three | four | five | six | seven | eight'],
}

# What captions call the members of a class that annotators only named once.
CALLED = {
    'person': 'man woman boy girl child kid lady guy player skier surfer skateboarder snowboarder rider baby toddler batter pitcher cyclist biker male female gentleman',
    'bicycle': 'bike', 'motorcycle': 'motorbike bike scooter', 'airplane': 'plane jet airliner aeroplane', 'tv': 'television', 'couch': 'sofa loveseat', 'cell phone': 'phone cellphone smartphone',
    'dining table': 'table', 'potted plant': 'plant', 'refrigerator': 'fridge', 'dog': 'puppy', 'cat': 'kitten', 'car': 'sedan suv', 'boat': 'ship sailboat canoe', 'sports ball': 'ball', 'donut': 'doughnut',
    'teddy bear': 'teddy', 'handbag': 'purse bag', 'wine glass': 'glass', 'tennis racket': 'racket racquet', 'baseball bat': 'bat', 'cow': 'bull calf', 'sheep': 'lamb', 'microwave': 'microwaves', 'tie': 'necktie',
    'bird': 'duck seagull pigeon parrot goose', 'suitcase': 'luggage', 'sandwich': 'sub', 'remote': 'controller'}


def listed(row):
    return [word.strip() for word in row.split(',')]


@lru_cache(maxsize=None)
def near(name):
    """Names that share a row with this one."""
    return frozenset(other for row in NEAR for other in listed(row) if name in listed(row)) - {name}


def unlike(name):
    """Nouns near in meaning that are never true of the same thing: a hat may be a cap, but no helmet."""
    return {other[0] for kind, _, others in swaps().get(name, ()) if kind == 'noun' for other in others}


@lru_cache(maxsize=1)
def swaps():
    """word -> [(kind, set of its equivalents, the other sets of its row)], each set as a tuple."""
    table = {}
    for kind, rows in SWAPS.items():
        for row in rows:
            sets = [tuple(listed(part)) for part in row.split('|')]
            for own in sets:
                for word in own:
                    table.setdefault(word, []).append((kind, own, tuple(s for s in sets if s is not own)))
    return table
