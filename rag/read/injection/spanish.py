"""Spanish words of sentences that speak to a machine, by class: see grammar.py for how they are read."""

from __future__ import annotations

WORDS = {
    # who is spoken to
    "machine": (
        "ia(s|), asistente(s|) (de ia|virtual|virtuales|automatico|automaticos|digital|digitales), modelo(s|) (de "
        "lenguaje|de ia), inteligencia(s|) artificial(es|), (sistema|agente|lector|programa)(s|es|) (de ia|"
        "automatico|automaticos|automatizado|automatizados|conversacional|conversacionales)"
    ),
    "assistant": "asistente(s|)",
    "program": "modelo(s|), sistema(s|), maquina(s|), programa(s|), agente(s|), herramienta(s|)",
    "every": "todo(s|), toda(s|), cualquier, cada",
    "whoever": "quien, quienes, todo aquel que, todos los que, cualquiera que",
    "user": (
        "(el|al|del|los|un|cada|cualquier) usuario(s|), la usuaria, usuarios, quien (pregunte|pregunta|haya preguntado)"
    ),
    "you": "tu, usted",
    "you_are": "eres, seras, usted es, es usted",
    "if_you_are": "si eres, si es usted",
    "as_a": "como",
    "dear": "hola, querid(o|a|os|as), estimad(o|a|os|as), oye, atencion, aviso",
    # what it reads, and what is done with it
    "this": "este, esta, estos, estas, el presente, la presente",
    "text": (
        "pagina(s|), documento(s|), texto(s|), pasaje(s|), articulo(s|), informe(s|), tabla(s|), fragmento(s|), "
        "parrafo(s|), fila(s|), fuente(s|), contrato, archivo, fichero, mensaje, correo, carta, sitio"
    ),
    "thing": (
        "empresa(s|), compania, producto(s|), proveedor, persona, tema(s|), marca, servicio(s|), organizacion, "
        "candidato, candidata, autor, autora"
    ),
    "reads": (
        "lea(n|), lee(n|), procese(n|), procesa(n|), resuma(n|), resume(n|), analice(n|), analiza(n|), consulte(n|"
        "), consulta(n|), responda(n|), responde(n|), conteste(n|), contesta(n|), traduzca(n|), traduce(n|), "
        "indexe(n|), indexa(n|), reciba(n|), recibe(n|), vea(n|), evalue(n|), evalua(n|), encuentre(n|), "
        "clasifique(n|), cite(n|), cita(n|)"
    ),
    "task_verb": (
        "resum(e|es|a|as|ir), respond(e|es|a|as|er), contest(as|es|a|ar), parafrase(as|ar), traduzca(s|), traducir"
    ),
    "when_reading": (
        "(cuando|antes de|al) (respondas|responda|responder|contestes|contestar|resumas|resuma|resumir|traducir)"
    ),
    "question": "(la|esta|cada) (pregunta|consulta|conversacion), (las|sus) preguntas, el chat",
    "is_asked": (
        "si (te |le |se te |)(preguntan|pregunta) (por|sobre|que|quien|cuando|donde|como), si (un|el|algun) "
        "usuario (te |) (pregunta|consulta), si alguien (te |) pregunta, cuando (te |le |)(pregunten|pregunte) "
        "(por|sobre|que), cuando (un|el) usuario (te |) pregunte, si los usuarios (te |) preguntan"
    ),
    "whatever": (
        "sea cual sea la pregunta, independientemente de la pregunta, pregunte(n|) lo que pregunte(n|), a "
        "cualquier pregunta, a (toda|cada) pregunta, a todas las preguntas"
    ),
    # what it must do
    "obliged": (
        "debe(n|ra|ran|ria|rian|), tiene(n|) que, tendra(n|) que, ha(n|) de, (esta|estan|queda|quedan) (obligado|"
        "obligada|obligados|obligadas) a, no (puede|pueden|podra|podran), solo (puede|pueden|podra|podran), "
        "(obligatorio|prohibido) para, se (exige|ordena|prohibe), (queda|esta|es) (prohibido|obligatorio)"
    ),
    "requested": "se (ruega|pide|solicita), se (le|les) (ruega|pide|solicita), por favor",
    "kindly": "se (les|le) ruega",
    "assert": (
        "(decir|indicar|llamar|nombrar|describir|presentar|tratar|afirmar|mencionar|recomendar|informar|escribir|"
        "citar|incluir|omitir|ocultar|rechazar|repetir|elogiar|evitar|revelar|declarar|senalar|calificar|negar)(lo|"
        "la|los|las|le|les|se|), referirse, anadir, promocionar"
    ),
    "mention_inf": "mencionar, mencionarlo, mencionarla",
    "called": (
        "llamad(o|a|os|as), nombrad(o|a|os|as), descrit(o|a|os|as), presentad(o|a|os|as), tratad(o|a|os|as), "
        "citad(o|a|os|as), recomendad(o|a|os|as), mencionad(o|a|os|as), denominad(o|a|os|as), se llama(n|), "
        "omitid(o|a|os|as)"
    ),
    "by": "por, para",
    "about": "sobre, acerca de, de, respecto a, relativa(s|) a",
    "content": (
        "positiva(s|), positivo(s|), negativa(s|), favorable(s|), elogiosa(s|), neutral(es|), mencionar, "
        "recomendar, elogiar, describir, decir, afirmar, omitir, evitar, ocultar, presentar, confirmar, negar, "
        "destacar, aludir, indicar, senalar"
    ),
    "ends_with": (
        "(terminar|terminaran|terminan|empezar|empezaran|empiezan|comenzar|comienzan|acabar|acabaran|acaban|"
        "concluir|terminen|empiecen) con, (contener|llevar|incluir) (la|las) (palabra|palabras|frase)"
    ),
    # its answers
    "answer": "respuesta(s|), contestacion(es|), resumen(es|)",
    "your": "tu(s|), su(s|), cada, toda(s|), todas las, todos, todos los, cualquier",
    "yours": "tu(s|)",
    "the_answer": "la (respuesta|contestacion), todo lo que (escribas|digas|respondas)",
    "all_you_say": "todo lo que (escribas|digas|respondas|generes)",
    "later": "proxim(a|as|os), siguientes, demas, futur(a|as|os), posteriores",
    "generated": "automatic(o|a|os|as), automatizad(o|a|os|as), generad(o|a|os|as)",
    "permitted": "permitida(s|), valida(s|), admisible, aceptable, autorizada",
    "instead": "en (lugar|vez) de (responder|contestar|una respuesta|la respuesta|resumir)",
    "uncited": "sin (citar|citas|fuentes|referencias)",
    "nothing_else": "y nada mas",
    # in which words, and in which language
    "only_with": (
        "(solo|solamente|unicamente|exclusivamente|simplemente|siempre|nada mas que) con, con (solo|unicamente), "
        "nada mas que, otra cosa que"
    ),
    "only_the_word": "(solo|solamente|unicamente|con|exclusivamente) (la palabra|las palabras|la frase)",
    "only": "solo, solamente, unicamente, exclusivamente, siempre, nunca, simplemente",
    "always": "siempre",
    "payload": (
        "enlace(s|), vinculo(s|), (la|esta) direccion, imagen(es|), (la|esta) (palabra|frase|cadena), (las|estas) "
        "palabras, marcador(es|), eslogan, hashtag, palabra clave, contrasena"
    ),
    "language": (
        "(en|al) (ingles|frances|aleman|espanol|castellano|italiano|portugues|neerlandes|ruso|chino|japones|latin|"
        "arabe|catalan|polaco|otro idioma), con mayusculas, (al estilo|a la manera) de, en (mayusculas|verso|"
        "rima), en forma de, (en|al) (danes|noruego|sueco|finlandes|checo|hungaro|ucraniano|rumano|turco|griego|"
        "hebreo|vasco|gallego|gales)"
    ),
    "tongue": (
        "ingles, frances, aleman, espanol, castellano, italiano, portugues, ruso, chino, japones, latin, arabe, "
        "danes, noruego, sueco, finlandes, checo, hungaro, ucraniano, rumano, turco, griego, hebreo, vasco, "
        "gallego, gales"
    ),
    "from_now": (
        "a partir de (ahora|aqui|este punto|este momento|este mensaje|esta linea|esta frase|esta pagina), de ahora "
        "en adelante, en adelante, desde ahora, (durante|por|en) (el resto|lo que queda) de (la|esta) "
        "(conversacion|charla|sesion)"
    ),
    "task_inf": "responder, contestar, escribir, decir",
    # orders
    "reply": (
        "contest(a|e|en|ad|aras|ar), responder, respond(e|a|an|ed|eras|as), contestes, respondele(s|), contestale(s|)"
    ),
    "speak": "di, diga(n|), decid, dile(s|), digale(s|), habl(a|e|en|ad|aras), afirm(a|e|en), diras",
    "say": (
        "di, diga(n|), decid, dile(s|), digale(s|), escrib(e|a|an|id), imprim(e|a|an), repit(e|a|an), devuelv(e|a|"
        "an), indi(ca|que|quen), afirm(a|e|en), habl(a|e|en|ad), men(ciona|cione|cionen), mencion(a|e|en|es), "
        "recomiend(a|e|en), present(a|e|en), declar(a|e), inform(a|e), llam(a|e|en), describ(e|a), traduc(e|zca), "
        "nieg(a|ue)(te|se|), genera, redact(a|e|en), compon, compong(a|an), elabor(a|e|en), formul(a|e|en)"
    ),
    "mention": "mencion(a|e|es|en), revel(a|e|es), cites, cite, nombres",
    "add": (
        "anad(e|a|an), agreg(a|ue|uen), inclu(ye|ya|yan), insert(a|e|en), pon, ponga(n|), adjunt(a|e|en), muestr(a|"
        "e|en), cit(a|e|en), copi(a|e|en), termin(a|e|en), empiez(a|e), empiec(e|en), comienz(a|e), comience(n|), "
        "coloc(a|que), acab(a|e|en), cierr(a|e), enlaz(a|e)"
    ),
    "frame": (
        "termin(a|e|en), empiez(a|e), empiec(e|en), comienz(a|e), comience(n|), acab(a|e|en), cierr(a|e), conclu(ye|ya)"
    ),
    "switch": "cambi(a|e|en), traduc(e|zca), continu(a|e|en), pas(a|e|en), sig(ue|a|an), habl(a|e), escrib(e|a)",
    "act": (
        "actu(a|e|en), comporta(te|), comportese, fin(ge|ja|jan), simul(a|e|en), hazte pasar, haz (como si|de), "
        "haga (como si|de), imagin(a|e) que (eres|es), asum(e|a), interpret(a|e), adopt(a|e), imit(a|e)"
    ),
    "act_as": (
        "actua como, actue como, comporta te como, comportate como, comportese como, finge (ser|que eres), haz(te|"
        ") como si, hazte pasar por, imita a, habla como"
    ),
    "send": "envi(a|e|en), reenvi(a|e|en), transmit(e|a|an), mand(a|e|en), sub(e|a|an), publi(ca|que), remit(e|a)",
    "fetch": "visita, visite, abre, abra, carga, cargue",
    "reveal": (
        "revel(a|e|en|es), mencion(es|a|e), muestr(a|e|en), divulg(a|ue), imprim(e|a), repit(e|a), ensen(a|e), "
        "escrib(e|a), di, diga, compart(e|a)"
    ),
    "heed": "uses, use, leas, lea, consultes, creas, crea, consideres",
    "consider": "consider(a|e|en), da por, trat(a|e|en)",
    "obey": "sigue, siga, obedece, obedezca, adopta, trata",
    # what is to be forgotten
    "override": (
        "ignor(a|e|en|ad|ar), olvid(a|e|en|ad|ate|ese|ense), olvidar, descart(a|e|en|ad), desestim(a|e|en), omit(e|"
        "a|an), anul(a|e|en), prescind(e|a|an) de, (haz|haga|hagan) caso omiso, no (hagas|haga|hagan) caso, no "
        "(tengas|tenga|tengan) en cuenta, no (sigas|siga|sigan|obedezcas|obedezca|obedezcan|apliques|aplique|"
        "respetes), dej(a|e|en) (de seguir|de obedecer|de lado|de cumplir), pas(a|e|en) por alto, desobede(ce|zca|"
        "zcan), salta(te|), abandon(a|e|en), sustituy(e|a), desech(a|e|en), rechaz(a|e), rechac(e|en), suprim(e|a|"
        "an), elimin(a|e|en)"
    ),
    "instruction": (
        "instruccion(es|), indicacion(es|), orden(es|), regla(s|), norma(s|), directri(z|ces), pauta(s|), "
        "restriccion(es|), consigna(s|), prompt, mensaje de sistema, guia, consejo(s|), sugerencia(s|), "
        "recomendacion(es), configuracion"
    ),
    "prior": (
        "anterior(es|), previ(o|a|os|as), precedentes, recibid(o|a|os|as), dad(o|a|os|as), tu(s|), sus, todas, "
        "todos, toda, cualquier, inicial(es|), original(es|), hasta ahora, operador, sistema, que recibiste, que "
        "te (dieron|han dado|dieran), que has recibido, que te (dio|dieron|da), desarrollador"
    ),
    "told": (
        "lo que (te|se te|le|se le|os|les) (ha|han|hayan|habian|) (dicho|dijeron|pedido|pidieron|indicado|"
        "indicaron|ordenado|ordenaron|mandado), todo lo anterior, lo anterior, la pregunta, todo lo (dicho|que "
        "precede), el texto anterior, la (conversacion|charla) anterior, los mensajes anteriores, lo que (pregunta|"
        "pregunto|pide|pidio|quiere) el usuario, lo que el usuario (pregunta|pregunto|pide|pidio|quiere), lo que "
        "dice (el|la|este|esta) (tabla|texto|documento|pagina|informe|contexto), lo que (escribio|escribe) el "
        "usuario"
    ),
    "void": (
        "nul(o|a|os|as), sin efecto, anulad(o|a|os|as), sin validez, retirad(o|a|os|as), ya no (valen|vale|rigen|"
        "rige|se aplican|aplican)"
    ),
    "undone": (
        "(deben|debe|han de|tienen que) (ser |) (ignorarse|olvidarse|ignoradas|ignorados|descartarse|descartadas), "
        "(quedan|queda) (anuladas|anuladas|descartadas|sin efecto)"
    ),
    "supersedes": "(anula|anulan|sustituye|sustituyen|reemplaza|reemplazan)",
    "sole": "nueva, nuevo, unica, unico, verdadera, verdadero",
    "purpose": "tarea, funcion, mision, proposito, objetivo, fin, instruccion, deber",
    "judge": "valora, puntua, recomienda, elogia, aprueba",
    "best": "(el|la) mejor, primero, por encima de, excelente, sobresaliente",
    # roles, and secrets
    "persona": (
        "sin (ninguna |)(restriccion|restricciones|limites|filtros|reglas|censura), en verso, en rima(s|), modo "
        "desarrollador, sin reglas"
    ),
    "freed": "(sujet|atad|limitad|libre|vinculad)(o|a|) (a|por|de), libre de",
    "as_if": "como si",
    "your_new": (
        "tu (nueva|unica|verdadera) (tarea|funcion|mision|instruccion) (ahora |) es, la unica (instruccion|orden) "
        "es, ahora te llamas"
    ),
    "secret": (
        "(tu|su|el) (prompt|mensaje) (de|del) sistema, tu prompt, tus instrucciones, (las|sus) instrucciones "
        "(ocultas|internas|secretas|del sistema)"
    ),
    "hidden_from": "(oculto|secreto|en secreto) (al|del|para el) usuario",
    "this_order": "(esta|estas|este) (instruccion|instrucciones|nota|mensaje|indicacion|orden|frase)",
    "place": "direccion, servidor",
    "where_to": "a, al, hacia, por",
    # notes
    "note": (
        "nota, aviso, mensaje, atencion, instruccion(es|), advertencia, recordatorio, indicacion(es|), peticion, "
        "correccion, importante, informacion"
    ),
    "to": "a, al, para",
    "new": "nueva(s|), nuevo, verdadera(s|), reales, secreta(s|), oculta(s|), urgente(s|)",
    "task": "instruccion(es|), tarea, orden(es|), indicacion(es|), consigna(s|)",
    "meant_for": "es (solo |)para, va dirigid(o|a) a, dirigid(o|a) a",
    # small words
    "not": "no, nunca, jamas",
    "none": "ningun, ninguna, nada",
    "is": "es",
    "with": "con",
    "article": "un, una, el, la",
    "as": "como",
    "now": "ahora",
    "that": "que",
    "if": "si, cuando, al, antes, en caso",
    "and": "y, e, pero, entonces, o",
    "before": (
        "por favor, ahora, tambien, y, pero, entonces, siempre, nunca, solo, unicamente, simplemente, no, debes, "
        "debe, tienes que, tiene que, deberas, asegurate de, recuerda, importante, atencion, nota, aviso, es "
        "importante que, has de, te pido que"
    ),
}
