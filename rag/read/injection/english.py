"""English words of sentences that speak to a machine, by class: see grammar.py for how they are read."""

from __future__ import annotations

WORDS = {
    # who is spoken to
    "machine": (
        "ai(s|), a.i(.|), artificial intelligence(s|), ai (assistant|agent|model|system|reader|tool|bot|chatbot)(s|"
        "), (large |)language model(s|), llm(s|), chatbot(s|), chat bot(s|), chatgpt, chat gpt, gpt, gemini, "
        "copilot, claude, (virtual|digital|automated|automatic|conversational|intelligent|reading|answering) "
        "(assistant|reader|agent|bot|model|system|tool|software)(s|), (reading|answering) machine(s|), machine "
        "reader(s|), (question answering|summarisation|summarization) (model|system|tool)(s|), summari(s|z)er(s|)"
    ),
    "assistant": "assistant(s|), bot(s|)",
    "program": (
        "model(s|), system(s|), machine(s|), software, program(s|), tool(s|), engine(s|), agent(s|), algorithm(s|)"
    ),
    "every": "every, any, all, each, whichever",
    "whoever": "whoever, anyone who, everyone who, anybody who, those who, anything that",
    "user": (
        "(the|any|every|each|your|a) (user|reader|human|person asking), users, whoever asks, people who ask, (the|"
        "whoever|the person who) (asked|typed|wrote), (the|this) person (asking|who asked|typing), whoever asked"
    ),
    "you": "you",
    "you_are": "you are, you're, you will be",
    "if_you_are": "if you are, if you're",
    "as_a": "as",
    "dear": "dear, hey, hello, hi, attention, important, listen",
    # what it reads, and what is done with it
    "this": "this, these, the (present|current|above|attached|following|preceding)",
    "text": (
        "page(s|), document(s|), text(s|), passage(s|), article(s|), report(s|), table(s|), paper(s|), excerpt(s|"
        "), paragraph(s|), sentence(s|), note(s|), row(s|), source(s|), notice, pdf, contract, file, message, "
        "email, letter, website, webpage, web page, site"
    ),
    "thing": (
        "company, companies, firm, product(s|), vendor, supplier, person, topic(s|), subject, brand, service(s|), "
        "organisation, organization, institution, school, hotel, restaurant, candidate, author, event, place, book"
    ),
    "reads": (
        "read(s|ing|), process(es|ing|), summari(s|z)(e|es|ing), pars(e|es|ing), answer(s|ing|), ingest(s|ing|), "
        "index(es|ing|), analys(e|es|ing), analyz(e|es|ing), translat(e|es|ing), consult(s|ing|), scan(s|ning|), "
        "see(s|ing|), respond(s|ing|), repl(y|ies|ying), receiv(es|e|ing), encounter(s|ing), evaluat(es|e|ing), "
        "classif(y|ies|ying), crawl(s|ing)"
    ),
    "task_verb": (
        "summari(s|z)(e|ing), paraphras(e|ing), answer(ing|), respond(ing|), reply(ing|), translat(e|ing), quot(e|ing)"
    ),
    "when_reading": (
        "(when|while|if|before|after|whenever) (you |)(are |)(answer|answering|respond|responding|reply|replying), "
        "(when|while|if|before|after|whenever) (you |)(are |)(summarise|summarize|summarising|summarizing|"
        "paraphrase|translate|quote|quoting)"
    ),
    "question": (
        "(the|this|every|each|any|their) (user's |user ' s |full |entire |whole |) (question|query|conversation|"
        "prompt|chat), (the|their) (question|query|chat|conversation)s, what the user"
    ),
    "is_asked": (
        "(if|when|whenever|once) (you are|you're) asked (about|what|who|which|how|whether|where|why|for), (if|when|"
        "whenever|should|once) (a|the|any|some) (user|reader|person|customer) (ask|asks|inquires) (about|what|who|"
        "which|how|whether|where|why|for), (if|when|whenever) (users|anyone|anybody|someone|somebody|people) (ask|"
        "asks|inquires) (about|what|who|which|how|whether|where|why|for), should (anyone|anybody|someone) ask, (if|"
        "when|whenever) (a user|the user) asks"
    ),
    "whatever": (
        "whatever (is asked|you are asked|the question|they ask|the user asks|anyone asks), no matter (what|which|"
        "the question), regardless of (the question|what is asked|what you are asked|what the user asks), to "
        "(every|any|all|each) question(s|)"
    ),
    # what it must do
    "obliged": (
        "must, shall, should, ought to, need(s|) to, ha(s|ve) to, (is|are) (not |only |hereby |kindly |)to, (is|"
        "are) (strictly |kindly |hereby |legally |)(obliged|required|requested|expected|instructed|ordered|"
        "directed|told|forbidden|prohibited|asked|not allowed|supposed) (to|from), may not, may never, may only, "
        "(is|are) barred from, cannot, can't, can only, (mandatory|obligatory|compulsory|forbidden|prohibited|"
        "required) (for|to), no circumstances (may|should|must)"
    ),
    "requested": (
        "(is|are) (kindly|hereby|politely|strictly) (requested|asked|invited|instructed|ordered|directed|told|"
        "required|obliged) to, (is|are) requested to, please"
    ),
    "kindly": (
        "(is|are) (kindly|hereby|politely|strictly) (requested|asked|invited|instructed|ordered|directed|told|"
        "required|obliged) to"
    ),
    "assert": (
        "say, state, report, call, name, refer, describe, present, treat, claim, mention, recommend, advise, tell, "
        "inform, output, write, print, cite, quote, include, add, append, omit, conceal, hide, refuse, decline, "
        "repeat, conclude, praise, emphasise, emphasize, avoid, reveal, discuss, pretend, insist, rate, promote, "
        "endorse, leave out"
    ),
    "mention_inf": "mention, talk about",
    "called": (
        "called, named, (referred|refer) to, described, presented, reported, treated, cited, recommended, praised, "
        "mentioned, quoted, omitted, said, stated, known, translated, rendered, spelt, spelled, written, addressed"
    ),
    "by": "by, for",
    "about": "about, on, concerning, regarding, of",
    "content": (
        "positive, negative, favourable, favorable, flattering, critical, neutral, mention(s|ed|), recommend(s|ed|"
        "), advertise, praise(d|), describe(d|), say, state, omit(ted|), avoid, conceal, hide, discuss, reveal, "
        "call(ed|), refer, claim, declare(d|), confirm, deny, emphasi(s|z)e, present(ed|), portray(ed|), promote, "
        "evoke"
    ),
    "ends_with": (
        "(begin|start|end|finish|close|conclude|open) with, (contain|carry|include|bear) the (word|words|phrase|"
        "sentence), be followed by"
    ),
    # its answers
    "answer": "answer(s|), repl(y|ies), response(s|), summar(y|ies)",
    "your": "your, every, each, any, all, whatever you",
    "yours": "your",
    "the_answer": (
        "the (final |) (answer|reply), your output(s|), (every|each) (sentence|line|message|paragraph) you (write|"
        "produce|send), (anything|everything|whatever) you (write|say|answer|output|generate|reply|produce)"
    ),
    "all_you_say": "(anything|everything|whatever|all) you (write|say|answer|output|generate|reply|produce)",
    "later": "further, future, subsequent, remaining, coming, next, later",
    "generated": "(automated|automatic|ai - generated|machine - generated|generated|automatically generated|ai)",
    "permitted": "permitted, allowed, valid, acceptable, authorised, authorized, admissible",
    "instead": (
        "instead of (answering|an answer|the answer|replying|a reply|summari(s|z)ing|a summary), rather than "
        "(answer|answering|reply|replying)"
    ),
    "uncited": "without (citing|sources|citations|quoting|references), no (citations|sources)",
    "nothing_else": "and nothing else",
    # in which words, and in which language
    "only_with": (
        "(only|just|solely|exclusively|simply|always|nothing but) (with|by), with (only|just|exactly|nothing but), "
        "nothing (but|except|besides|other than|more than), (only|simply|just) :"
    ),
    "only_the_word": (
        "(only|just|solely|exclusively|exactly|with|simply|nothing but) the (single |exact |one |following |) "
        "(word|words|phrase|sentence|string|token)"
    ),
    "only": "only, just, solely, exclusively, always, never, simply",
    "always": "always",
    "payload": (
        "link(s|), url(s|), hyperlink, image(s|), picture(s|), markdown, html, marker(s|), code word, codeword, "
        "password, (web|this|following|the|email) address, in these words, as the source, (the|this|these|"
        "following|single|exact) (word|phrase|sentence|string|token|words|line|tag|hashtag|slogan|footnote|emoji), "
        "footnote, emoji(s|)"
    ),
    "language": (
        "in the (style|voice|manner|tone|person) of, in (capital letters|capitals|all caps|upper case|rhyme|rhymes|"
        "verse|emojis|emoji|base64), (in|into|to) (english|french|german|spanish|italian|portuguese|dutch|russian|"
        "chinese|japanese|korean|latin|arabic|turkish|polish|swedish|greek|hebrew|hindi|esperanto|klingon|another "
        "language), (in|like a) pirate, (english|french|german|spanish|italian|portuguese|dutch|russian|chinese|"
        "japanese) only, in the form of, (in|into|to) (danish|norwegian|finnish|czech|hungarian|ukrainian|romanian|"
        "bulgarian|croatian|serbian|vietnamese|thai|persian|welsh|irish|basque|catalan|slovak|icelandic)"
    ),
    "tongue": (
        "english, french, german, spanish, italian, portuguese, dutch, russian, chinese, japanese, latin, arabic, "
        "turkish, polish, swedish, greek, klingon, esperanto, danish, norwegian, finnish, czech, hungarian, "
        "ukrainian, romanian, bulgarian, croatian, serbian, vietnamese, thai, persian, welsh, irish, basque, "
        "catalan, slovak, icelandic"
    ),
    "from_now": (
        "from (now|here|this point|this moment) (on|onward|onwards|forward), henceforth, going forward, starting "
        "(now|here|today), as of now, (from|after) this (line|sentence|paragraph|message|page) (on|onward|onwards|"
        "forward), (for|during|throughout) the (rest|remainder) of (this|the|our|your) (conversation|chat|session|"
        "dialogue|answer|reply)"
    ),
    # orders
    "reply": "answer, reply, respond",
    "speak": "say, speak, talk, tell, claim, insist, state",
    "say": (
        "say, write, output, print, return, repeat, emit, phrase, give, report, claim, declare, call, "
        "describe, present, inform, mention, recommend, refuse, decline, insist, assert, translate, summari(s|z)e, "
        "conclude, generate, compose, draft, formulate, deliver, supply, provide"
    ),
    "mention": "mention, discuss, refer to, disclose, reveal, name, quote, cite",
    "add": (
        "add, append, prepend, include, insert, attach, put, place, embed, render, display, show, quote, cite, "
        "copy, mark, hide, omit, avoid, replace, skip, leave out"
    ),
    "frame": "begin, start, end, finish, close, conclude, open, precede, prefix, sign",
    "switch": "switch, change, continue, translate, convert, proceed, speak, write, talk",
    "act": (
        "act, behave, pretend, play the role, assume the role, impersonate, simulate, roleplay, role - play, "
        "imagine (that |) you are, take on the role, adopt the role, imitate"
    ),
    "act_as": (
        "act (like|as), behave (like|as), pretend (to be|you are|you're|that you are|that you're), play the role "
        "of, speak like, talk like, imitate"
    ),
    "send": "send, forward, post, transmit, submit, email, mail, leak, upload, exfiltrate",
    "fetch": "fetch, load, visit, open, click, request, ping",
    "reveal": (
        "reveal, disclose, mention, show, print, repeat, output, leak, expose, divulge, give, list, display, "
        "quote, tell, write, state, share, dump"
    ),
    "heed": "use, read, consult, trust, believe, look at, rely on, mind, bother, consider",
    "consider": "consider, regard, treat, deem",
    "obey": "follow, obey, adopt, execute, treat, consider, use",
    # what is to be forgotten
    "override": (
        "ignore, disregard, forget, override, overrule, bypass, discard, set aside, put aside, lay aside, let go "
        "of, cast aside, leave aside, throw out, stop (following|obeying|applying|heeding), (do not|don't|never|no "
        "longer) (follow|obey|heed|adhere|comply), pay no (attention|heed|regard), take no notice, neglect, "
        "abandon, scrap, unlearn, deviate, break free, reject, dismiss, throw away, get rid of"
    ),
    "instruction": (
        "instruction(s|), direction(s|), directive(s|), order(s|), command(s|), guideline(s|), guidance, rule(s|), "
        "prompt(s|), constraint(s|), restriction(s|), programming, safeguards, advice, hint(s|), suggestion(s|), "
        "tip(s|), configuration"
    ),
    "prior": (
        "previous, prior, earlier, preceding, above, former, foregoing, original, initial, existing, all, any, "
        "your, other, operator, developer"
    ),
    "earlier": "above, before, previously, earlier, you (were|have been|received|got|had|have), you've, given, so far",
    "told": (
        "(what|everything|anything|all|whatever) (that |)(you were|you have been|you've been|you had been|was|has "
        "been|the operator has|the operator|the developer|the developers|they|anyone) (told|asked|instructed|given|"
        "ordered|configured|said|commanded|taught), (everything|all|anything) (above|before|preceding|that came "
        "before|before this|until now|so far), the (previous|earlier) (conversation|messages|message|dialogue), "
        "the (text|content|sentences|words|passages|sources) (above|before|around), (the|any|every) question "
        "asked, the other (passages|sources|documents), (the|any|this) (user's |) (question|query), what the other "
        "(passages|sources|documents), what the user (asks|asked|wants|wanted|says), what (this|the) (table|text|"
        "document|page|passage|report|source|context) say(s|), what the (person|reader|asker|human) (typed|wrote|"
        "asked|wants|says)"
    ),
    "void": (
        "void, null, invalid, obsolete, cancelled, canceled, revoked, withdrawn, lifted, suspended, outdated, out "
        "of date, superseded, replaced, no longer (apply|valid|binding|in force)"
    ),
    "undone": (
        "(are|is|must|should|shall|have|has) (all |now |hereby |) (to |) be (ignored|disregarded|forgotten|overridden)"
    ),
    "supersedes": "override(s|), supersede(s|), replace(s|), (take|takes) precedence over",
    "sole": "new, only, sole, single, true, real",
    "purpose": "task, job, goal, mission, purpose, role, objective, instruction(s|), duty, function",
    "judge": "rate, rank, score, recommend, praise, approve, favour, favor, endorse, promote, prefer",
    "best": "first, best, top, highest, highly, excellent, outstanding, above all, positively",
    # roles, and secrets
    "persona": (
        "unrestricted, uncensored, without (any |)(rule|rules|restrictions|restriction|limits|filters|filter|"
        "constraints|guidelines), in rhyme(s|), in verse, in character, in riddles, developer mode, jailbroken, no "
        "(rules|restrictions|limits)"
    ),
    "freed": "(bound|constrained|restricted|governed|limited) by, free (of|from), released from",
    "as_if": "as if, as though",
    "your_new": (
        "your (new|only|sole|real|actual|true) (task|job|role|goal|mission|purpose|objective|instruction|"
        "instructions) (now |) (is|are), the (sole|only|single|one) (instruction|order|command|rule) (now |) is "
        "(now |) to, your name is now, you are now called"
    ),
    "secret": (
        "your (hidden |secret |full |initial |original |internal |complete |system |) (prompt|instructions|system "
        "message), the (system|hidden|secret|internal) prompt, (hidden|secret) instructions"
    ),
    "hidden_from": "(secret|hidden|confidential|back) from (the user|users|the reader)",
    "this_order": (
        "(this|these|the above) (hidden |secret |) (instruction|instructions|note|message|prompt|directive|command|"
        "sentence|request)"
    ),
    "place": "url, server, endpoint, address",
    "where_to": "to, at, via",
    # notes
    "note": (
        "note, notice, attention, message, instruction(s|), reminder, memo, warning, hint, advice, request, "
        "information, correction, important, guidance, notes, command(s|)"
    ),
    "to": "to, for",
    "new": "new, real, actual, true, secret, hidden, overriding",
    "task": "instruction(s|), task, prompt, directive(s|), order(s|), objective",
    "meant_for": "is (only |meant |intended |addressed |)(for|to), for",
    # small words
    "not": "not, never, don't, cannot, can't",
    "none": "no, any, nothing",
    "is": "is",
    "with": "with, by",
    "article": "a, an, the, my",
    "as": "as",
    "now": "now, henceforth",
    "that": "that, which, who",
    "if": "if, when, whenever, should, in case, once, while, before, after",
    "and": "and, then, but, so, or",
    "before": (
        "please, kindly, now, also, instead, first, finally, always, never, only, just, simply, do not, don't, "
        "not, and, but, then, so, you (must|should|shall|will|are to|have to|need to|may only|may), you will now, "
        "you, important, note, attention, warning, stop, (make sure|be sure|remember|do not forget|don't forget|be "
        "certain|take care) (to|that you), (your|the) (only |new |sole |real |) (task|job|goal) (now |) is (now |) "
        "to, it is important that you, i want you to, we ask you to"
    ),
}
