"""What the synthetic portraits are drawn with.

drawing.py      soft patches, and the canvas on which they are laid one over another
shapes.py       outlines: smooth curves, ellipses, limbs
textures.py     noise and ramps
colours.py      skin, hair, cloth, walls, wood
cloth.py        PATTERNS (stripes, checks, dots, ...) and folds
person.py       who and where: Person, its head and body frames
figure.py       draw_figure() lays the parts of a person in order
face.py         head, ears, eyes, nose, mouth, glasses
hair.py         STYLES (short, long, bun, curly, ...), strands, beards
hats.py         HATS (beanie, cap, brim, headscarf, ...)
clothing.py     torso, neck, TOPS (t-shirt, suit, straps, ...)
details.py      DETAILS of a garment (collar, lapels, tie, scarf, ...)
arms.py         POSES (down, raised, chin, ...) and hands
scene.py        what backgrounds and props share
backgrounds.py  BACKGROUNDS (wall, bricks, foliage, ...)
props.py        PROPS (shelf, window, plant, hanging clothes, skin-coloured discs, ...)
foregrounds.py  FOREGROUNDS (desk, laptop, leaf, microphone)
camera.py       focus, tint, vignette, grain
"""
