"""As much grammar as templates need."""
import re

NUMBERS = 'zero one two three four five six seven eight nine ten eleven twelve'.split()
IRREGULAR = {'person': 'people', 'child': 'children', 'mouse': 'mice', 'goose': 'geese', 'foot': 'feet',
             'tooth': 'teeth', 'knife': 'knives', 'leaf': 'leaves', 'shelf': 'shelves', 'wolf': 'wolves', 'calf': 'calves', 'loaf': 'loaves',
             'scarf': 'scarves', 'sheep': 'sheep', 'fish': 'fish', 'deer': 'deer', 'skis': 'skis', 'scissors': 'scissors', 'glasses': 'glasses',
             'jeans': 'jeans', 'pants': 'pants', 'shorts': 'shorts', 'trousers': 'trousers', 'binoculars': 'binoculars', 'potato': 'potatoes',
             'tomato': 'tomatoes', 'broccoli': 'broccoli', 'food': 'food', 'grass': 'grass', 'water': 'water', 'sky': 'sky', 'snow': 'snow'}
PLURAL_ONLY = {'skis', 'scissors', 'glasses', 'sunglasses', 'jeans', 'pants', 'shorts', 'trousers', 'binoculars', 'people', 'men', 'women',
               'children'}
MASS = {'broccoli', 'food', 'grass', 'water', 'sky', 'snow', 'sand', 'hair', 'ground', 'corn'}
ARTICLE = re.compile(r'^(a|an|the|some|one|his|her|their|its)\s+', re.IGNORECASE)
ONE_SOUND = ('uni', 'use', 'one', 'eu')       # begin with a vowel letter, sound like a consonant


def plural(noun):
    head, _, last = noun.rpartition(' ')
    if last in IRREGULAR:
        last = IRREGULAR[last]
    elif last in PLURAL_ONLY:
        pass
    elif last.endswith('man') and last != 'human':
        last = last[:-2] + 'en'
    elif last.endswith('y') and last[-2:-1] not in 'aeiou':
        last = last[:-1] + 'ies'
    else:
        last += 'es' if last.endswith(('s', 'x', 'z', 'ch', 'sh')) else 's'
    return (head + ' ' + last).strip()


def article(word):
    return 'an' if word[0] in 'aeiou' and not word.startswith(ONE_SOUND) else 'a'


def with_article(phrase):
    last = phrase.split()[-1]
    if last in PLURAL_ONLY or last in MASS:
        return phrase
    return article(phrase) + ' ' + phrase


def without_article(phrase):
    return ARTICLE.sub('', phrase)


def number(count):
    return NUMBERS[count] if count < len(NUMBERS) else str(count)


def counted(count, noun):
    """'two dogs'"""
    return '%s %s' % (number(count), noun if count == 1 else plural(noun))


def verb(noun, count=1):
    return 'are' if count != 1 or noun.split()[-1] in PLURAL_ONLY else 'is'


def words(text):
    return re.findall(r"[a-z]+(?:['-][a-z]+)*", text.lower())
