"""What the synthetic portraits are drawn with.

drawing.py      outlines, soft patches and the canvas on which they are laid one over another
colours.py      skin, hair and cloth
textures.py     noise and fabric patterns: PATTERNS
person.py       who and where: Person, its head and body frames; draw() lays the parts in order
face.py         head, ears, eyes, nose, mouth, glasses
hair.py         STYLES (short, long, bun, curly, ...), strands, beards
hats.py         HATS (beanie, cap, brim, headscarf, ...)
clothing.py     torso, neck, TOPS (t-shirt, suit, straps, ...)
arms.py         POSES (down, raised, chin, ...) and hands
backgrounds.py  BACKGROUNDS (wall, bricks, foliage, ...)
props.py        PROPS (shelf, window, plant, hanging clothes, skin-coloured discs, ...)
camera.py       focus, light, tint, vignette, grain
"""
