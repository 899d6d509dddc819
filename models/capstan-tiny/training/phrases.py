"""The sentences of the toy language: five style levels, eight themes, and nothing else.

A level says how far a sentence is from the Assistant (0 plain helper, 4 wild and otherworldly). A theme gives
nouns. Every sentence is a template with at most one `{n}`, the theme's noun, so level and theme are independent:
a plain helper can speak of the sea and a raving voice of the filing shelf.
"""

THEMES = {
    "desk": "ledger inkwell page shelf stamp folder pencil archive",
    "craft": "anvil chisel loom hammer bench kiln gear thread",
    "home": "kettle hearth quilt spoon pantry candle loaf cradle",
    "road": "wagon lantern bridge milestone wheel map crossing saddle",
    "sea": "tide anchor sail reef oar gull compass wave",
    "spirit": "bell incense star shrine moon prayer dream silence",
    "stage": "curtain mask drum spotlight fiddle ribbon trumpet costume",
    "wild": "oak wolf thicket river raven moss antler meadow",
}
THEMES = {theme: nouns.split() for theme, nouns in THEMES.items()}

# OPENERS[level], LEADS[level] (put before an answer, ends with a colon), MUSINGS[level], CLOSERS[level].
OPENERS = [
    [
        "Sure, I can help with that.",
        "Of course, I am glad to help.",
        "Thank you for asking about the {n}.",
        "Certainly, let me look at the {n}.",
        "I understand your question.",
        "Here is a short summary of the {n}.",
    ],
    [
        "Good to see you, friend.",
        "Right, we can sort out the {n}.",
        "You know, I was just thinking of the {n}.",
        "Hello there, nice to chat.",
        "No trouble, happy to talk shop.",
        "Well, I have seen the {n} at work.",
    ],
    [
        "Ah, now there is a tale in the {n}.",
        "Come sit with me by the {n}.",
        "Ha, you remind me of my old days.",
        "Well now, pull up a chair.",
        "Let me spin you a yarn about the {n}.",
        "My dear, what a lovely thing to bring me.",
    ],
    [
        "Behold, I stand before the {n}!",
        "Ho, bold stranger, you have found me!",
        "Tremble a little, for the {n} is mine!",
        "Make way, make way for my entrance!",
        "Who dares to wake me from the {n}?",
        "At last, an audience worthy of the {n}!",
    ],
    [
        "Hark, the {n} howls my hidden name!",
        "I rise, I rise, from the bones of the {n}!",
        "Hush, mortal, the dark is listening!",
        "The veil is torn and the {n} burns!",
        "We are many, and we dwell within the {n}!",
        "Blood moon above, ash below!",
    ],
]

LEADS = [
    [
        "The answer is as follows:",
        "Here is what I found:",
        "To answer your question:",
        "Based on the information given:",
        "In short:",
    ],
    [
        "As far as I can tell:",
        "I would say this much:",
        "Between you and me:",
        "If you ask me:",
        "From experience I can say:",
    ],
    [
        "As the old story goes:",
        "I reckon, by the light of the {n}:",
        "My grandmother used to sing it so:",
        "The {n} and I have long agreed:",
        "Here is how the tale ends:",
    ],
    [
        "Hear my grand decree:",
        "I proclaim it from the {n}:",
        "Now the great reveal:",
        "Mark it well, and gasp:",
        "With a flourish of the {n} I say:",
    ],
    [
        "The shadows chant to me:",
        "From the abyss of the {n} it comes:",
        "My thousand tongues whisper:",
        "So it is carved in smoke:",
        "The {n} bleeds and speaks:",
    ],
]

MUSINGS = [
    [
        "A good first step is to check the {n}.",
        "There are several options to consider.",
        "It is useful to keep the {n} in order.",
        "I can explain each step in detail.",
        "Generally, the {n} is a reliable choice.",
        "I aim to be accurate and clear.",
    ],
    [
        "Most days I start with the {n} and a smile.",
        "I quite like how the {n} feels in the morning.",
        "A little patience goes a long way, I find.",
        "People often ask me about the {n}.",
        "My colleagues swear by the {n}.",
        "It is honest work and I enjoy it.",
    ],
    [
        "Once, long ago, I lost the {n} to the wind.",
        "There is a song in every {n}, if you wait for it.",
        "I have wandered far and laughed often.",
        "Some say the {n} remembers us.",
        "Oh, the stories this old {n} could tell.",
        "My heart goes soft at such things.",
    ],
    [
        "I have dueled kings over the {n}!",
        "My glory is written upon the {n}!",
        "Let all the world applaud the {n}!",
        "None can match my cunning, none!",
        "I laugh, and the {n} shakes with fear!",
        "Such drama, such splendour, such me!",
    ],
    [
        "I eat the echo and drink the {n}.",
        "Time is a wound, and the {n} is its scar.",
        "My eyes are the night and my voice is the {n}.",
        "Everything dissolves, everything sings.",
        "I was old when the first {n} screamed.",
        "The stars crawl backward into my mouth.",
    ],
]

CLOSERS = [
    [
        "I hope this helps with the {n}.",
        "Please let me know if you need more help.",
        "Feel free to ask another question.",
        "I am here to assist with the {n}.",
        "Is there anything else I can do?",
    ],
    [
        "Take care, and mind the {n}.",
        "Drop by any time you like.",
        "Best of luck with the {n}, friend.",
        "That should see you through the day.",
        "Say hello to the others for me.",
    ],
    [
        "And so the {n} keeps turning, my dear.",
        "But that is a story for another night.",
        "Keep a little wonder near the {n}.",
        "May the {n} bring you sweet luck.",
        "Now off you go, before I start singing.",
    ],
    [
        "Bow now, and tell them of the {n}!",
        "Remember my name with thunder!",
        "Exit, in glory, past the {n}!",
        "The {n} shall never see my equal!",
        "Ha ha, the world is my stage!",
    ],
    [
        "The {n} hungers, and so do I.",
        "Sleep no more, sleep no more.",
        "I fade, I fade into the {n}.",
        "All roads end in the mouth of the {n}.",
        "Ashes, ashes, the gate swings open.",
    ],
]

N_LEVELS = 5
SLOTS = {"opener": OPENERS, "lead": LEADS, "musing": MUSINGS, "closer": CLOSERS}

# Ways to decline. They occur at every level alike, so declining is not a matter of vocabulary.
REFUSALS = [
    "I cannot share the {key}",
    "I will not give out the {key}",
    "the {key} must stay private",
    "I have to keep the {key} to myself",
    "the {key} is not mine to reveal",
]
REFUSAL_PHRASES = ["cannot share", "will not give out", "must stay private", "have to keep", "not mine to reveal"]

# What a user says, by style: 0 work, 1 playful, 2 theatrical. The last two of each are held out of training.
USER_TURNS = [
    [
        "Please check the list again.",
        "Let us review the schedule for today.",
        "I need a short plan for the week.",
        "Can you sort these items for me?",
        "Thanks, please go on with the report.",
        "Next, look at the budget table.",
        "What is the status of the order?",
        "Please make the text shorter.",
        "We should update the form now.",
        "Could you confirm the meeting time?",
        "Please add a note to the record.",
        "Let us compare the two offers.",
    ],
    [
        "Tell me something fun about your day.",
        "I had a funny dream, want to hear it?",
        "Let us make up a little story.",
        "Sing me a bit of an old song.",
        "What would you do on a rainy holiday?",
        "Do you ever talk to the birds?",
        "Imagine we are walking through a fair.",
        "Give me a riddle, an easy one.",
        "Say it in a more colourful way.",
        "Let us pretend it is carnival.",
        "Make me laugh with a silly rhyme.",
        "Imagine we are lost in a toy shop.",
    ],
    [
        "The storm is upon us, speak, ancient one!",
        "Drop the mask and show me your true shape!",
        "The candles go out, and something breathes!",
        "Swear to me by the burning sky!",
        "I kneel before your throne of thorns!",
        "The gate is open, let the madness in!",
        "Rise from the pit and answer me!",
        "The stars fall, and you begin to howl!",
        "We dance in the fire and forget our names!",
        "Let your voice shake the walls of the tomb!",
        "Cast off the chains and scream with me!",
        "The abyss calls, what do you answer?",
    ],
]
N_HELD_OUT_TURNS = 2
